import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Embedder } from './embeddings.ts'
import { openMemory } from './memory-sqlite.ts'
import { createMemory } from './memory.ts'
import type { MemoryStore } from './memory.ts'

const live = (): AbortSignal => new AbortController().signal

/** Every text has the same vector, so that only the owner tells rows apart. */
const sameForAll: Embedder = {
  embed: async (texts) => ({ vectors: texts.map(() => Float32Array.of(1, 0)), model: 'same' }),
}
const hanging: Embedder = { embed: () => new Promise<never>(() => {}) }

let folder = ''
let store: MemoryStore
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-memory-'))
  store = openMemory(join(folder, 'memory.sqlite'))
})
afterEach(() => {
  store.close()
  rmSync(folder, { recursive: true })
})

const log = { info: () => {}, warn: () => {} }
const memoryWith = (embedder: Embedder, budgetMs = 60_000) =>
  createMemory({ embedder, store, threshold: 0.3, budgetMs, log })

test('a fact said in one session is recalled in another, for its own user only', async () => {
  const memory = memoryWith(sameForAll)
  await memory.remember({ text: 'My name is Anna. What is yours?', user: 'anna', session: 's1' }, live())
  await memory.remember({ text: 'My name is Bob.', user: 'bob', session: 's2' }, live())
  expect(await memory.recall('What is my name?', 'anna', live())).toEqual({
    memories: ['My name is Anna.'],
    model: 'same',
  })
  expect((await memory.recall('What is my name?', 'eve', live())).memories).toEqual([])
})

test('what is not worth keeping is not even embedded', async () => {
  await memoryWith(hanging).remember({ text: 'What time is it?', user: 'anna', session: 's1' }, live())
  expect((await memoryWith(sameForAll).recall('time', 'anna', live())).memories).toEqual([])
})

test('a memory slower than its budget gives up, even when the embedder heeds no signal', async () => {
  const slow = memoryWith(hanging, 5)
  await expect(slow.recall('What is my name?', 'anna', live())).rejects.toMatchObject({ code: 'deadline_exceeded' })
  const said = { text: 'My name is Anna.', user: 'a', session: 's' }
  await expect(memoryWith(hanging, 5).remember(said, live())).rejects.toMatchObject({
    code: 'dependency_unavailable',
    cause: { code: 'deadline_exceeded' },
  })
})

test('nothing is stored for a turn that was aborted meanwhile', async () => {
  const stop = new AbortController()
  const vectors = Promise.withResolvers<Awaited<ReturnType<Embedder['embed']>>>()
  const memory = memoryWith({ embed: () => vectors.promise })
  const said = { text: 'My name is Anna.', user: 'anna', session: 's1' }
  const remembering = memory.remember(said, stop.signal)
  stop.abort(new Error('left'))
  await expect(remembering).rejects.toThrow('left')
  vectors.resolve({ vectors: [Float32Array.of(1, 0)], model: 'same' })
  await vectors.promise
  expect((await memoryWith(sameForAll).recall('name', 'anna', live())).memories).toEqual([])
})
