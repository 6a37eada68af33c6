import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '@hearth/shared/errors'
import { eventually } from '@hearth/shared/testing/eventually'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Embedder } from './embeddings.ts'
import { openMemory } from './memory-sqlite.ts'
import type { NoteStore } from './memory-note.ts'
import { createMemory } from './memory.ts'
import type { ClosableMemory, MemoryOptions } from './memory.ts'

const live = (): AbortSignal => new AbortController().signal

/** Every text has the same vector, so that only the owner tells notes apart. */
const sameForAll: Embedder = {
  embed: async (texts) => ({ vectors: texts.map(() => Float32Array.of(1, 0)), model: 'same' }),
}
const hanging: Embedder = { embed: () => new Promise<never>(() => {}) }
/** Texts are near each other as far as they share letters. */
const byLetters = (model = 'letters', revision: string | null = '1'): Embedder => ({
  embed: async (texts) => ({ vectors: texts.map(letters), model, revision }),
})
function letters(text: string): Float32Array {
  const counts = Float32Array.from(
    'abcdefghijklmnopqrstuvwxyz',
    (letter) => text.toLowerCase().split(letter).length - 1,
  )
  const length = Math.hypot(...counts)
  return counts.map((count) => count / length)
}

let folder = ''
let store: NoteStore
let memories: ClosableMemory[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-memory-'))
  store = openMemory(join(folder, 'memory.sqlite'))
})
afterEach(() => {
  for (const memory of memories) memory.close()
  memories = []
  store.close()
  rmSync(folder, { recursive: true })
  vi.useRealTimers()
})

const log = { info: () => {}, warn: () => {} }
function memoryWith(embedder: Embedder, change: Partial<MemoryOptions> = {}): ClosableMemory {
  const memory = createMemory({ embedder, store, threshold: 0.3, budgetMs: 60_000, log, ...change })
  memories.push(memory)
  return memory
}
const texts = async (memory: ClosableMemory, question: string, user = 'anna') =>
  (await memory.recall(question, user, live())).memories.map(({ text }) => text)
const say = async (memory: ClosableMemory, text: string, user = 'anna', session = 's1') => {
  await memory.remember({ text, user, session }, live())
  await memory.settled()
}
const all = async (user = 'anna') => (await store.list({ user, limit: 100 }, live())).notes

describe('what is recalled', () => {
  test('was said in any session, by its own user only', async () => {
    const memory = memoryWith(sameForAll)
    await memory.remember({ text: 'My name is Anna. What is yours?', user: 'anna', session: 's1' }, live())
    await memory.remember({ text: 'My name is Bob.', user: 'bob', session: 's2' }, live())
    expect(await texts(memory, 'What is my name?')).toEqual(['My name is Anna.'])
    expect((await memory.recall('What is my name?', 'anna', live())).model).toBe('same')
    expect(await texts(memory, 'What is my name?', 'eve')).toEqual([])
  })

  test('is told with its score and what that is made of, the best first', async () => {
    const now = vi.fn<() => number>(() => Date.UTC(2026, 0, 1))
    const memory = memoryWith(byLetters(), { now })
    await say(memory, 'My dog is called Rex.')
    now.mockReturnValue(Date.UTC(2026, 0, 31))
    await say(memory, 'I like my dog called Rex.')
    const { memories: told } = await memory.recall('my dog is called rex', 'anna', live())
    expect(told.map(({ text, recency, importance }) => [text, recency, importance])).toEqual([
      ['My dog is called Rex.', 0.5, 0.9],
      ['I like my dog called Rex.', 1, 0.6],
    ])
    const [first] = told
    expect(first?.similarity).toBe(1)
    expect(first?.score).toBeCloseTo(0.7 + 0.15 * 0.5 + 0.15 * 0.9, 3)
  })

  test('of two that are as near, is first what was said lately; what is far below the threshold never', async () => {
    const now = vi.fn<() => number>(() => 0)
    const memory = memoryWith(sameForAll, { now })
    for (const [n, text] of ['I have a red car.', 'I have a blue bike.'].entries()) {
      now.mockReturnValue(Date.UTC(2026, n))
      await say(memory, text)
    }
    expect(await texts(memory, 'What do I have?')).toEqual(['I have a blue bike.', 'I have a red car.'])
    expect(await texts(memoryWith(byLetters('same', null), { threshold: 2 }), 'What do I have?')).toEqual([])
  })

  test('also is what the nearest lead to, though the question is less near to it', async () => {
    const embedder: Embedder = {
      embed: async (said) => ({ vectors: said.map((text) => VECTORS[text] ?? Float32Array.of(1, 0)), model: 'm' }),
    }
    const VECTORS: Record<string, Float32Array> = {
      'My dog is called Rex.': Float32Array.of(1, 0),
      'I buy meat on Fridays.': Float32Array.of(0.6, 0.8),
      'Who is Rex?': Float32Array.of(0.93, -0.36),
    }
    const memory = memoryWith(embedder)
    await say(memory, 'My dog is called Rex. I buy meat on Fridays.')
    const { memories: told } = await memory.recall('Who is Rex?', 'anna', live())
    expect(told.map(({ text }) => text)).toEqual(['My dog is called Rex.', 'I buy meat on Fridays.'])
    expect(told[1]?.linkedFrom).toBe(told[0]?.id)
  })
})

describe('what is remembered', () => {
  test('is only what is worth keeping: nothing else is even embedded', async () => {
    await memoryWith(hanging).remember({ text: 'What time is it?', user: 'anna', session: 's1' }, live())
    expect(await texts(memoryWith(sameForAll), 'time')).toEqual([])
  })

  test('does not hold the turn, and whoever asks next waits for it', async () => {
    const gate = Promise.withResolvers<void>()
    const slow: Embedder = { embed: async (said, signal) => (await gate.promise, sameForAll.embed(said, signal)) }
    const memory = memoryWith(slow)
    await memory.remember({ text: 'My name is Anna.', user: 'anna', session: 's1', turn: 't1' }, live())
    const asked = texts(memory, 'name')
    gate.resolve()
    expect(await asked).toEqual(['My name is Anna.'])
    expect(await all()).toMatchObject([{ turn: 't1', session: 's1', kind: 'statement', keywords: ['anna'] }])
  })

  test('said twice is one note, also in other words', async () => {
    const memory = memoryWith(sameForAll)
    await say(memory, 'I have a small red car.')
    await say(memory, 'i have a  small red car', 'anna', 's2')
    await say(memory, 'I have the small red car.')
    expect(await all()).toHaveLength(1)
    await say(memory, "I've really a small red car.")
    expect(await all()).toHaveLength(1)
    for (const other of [
      'I have a small red cart.',
      'I have 2 cars.',
      'I have 3 cars.',
      'I never have a small red car.',
    ])
      await say(memory, other)
    expect(await all()).toHaveLength(5)
  })

  test('takes the place of what it contradicts: "my name is Sam", then "Alex"', async () => {
    const memory = memoryWith(sameForAll)
    await say(memory, 'My name is Sam. I like tea.')
    await say(memory, 'My name is Alex.')
    expect((await texts(memory, 'What is my name?')).toSorted()).toEqual(['I like tea.', 'My name is Alex.'])
    const notes = await all()
    const current = notes.find(({ text }) => text === 'My name is Alex.')
    expect(notes.find(({ text }) => text === 'My name is Sam.')?.supersededBy).toBe(current?.id)
    await say(memory, 'My name is Sam.')
    expect((await texts(memory, 'What is my name?')).toSorted()).toEqual(['I like tea.', 'My name is Sam.'])
  })

  test('later than something newer does not take its place', async () => {
    const memory = memoryWith(sameForAll)
    const said = { user: 'anna', session: 's1', turn: null }
    await memory.keep([{ ...said, statements: ['My name is Alex.'], saidAt: 2000 }], live())
    await memory.keep([{ ...said, statements: ['My name is Sam.'], saidAt: 1000 }], live())
    expect(await texts(memory, 'name')).toEqual(['My name is Alex.'])
  })

  test('is linked with what it has to do with, both ways', async () => {
    const memory = memoryWith(byLetters())
    await say(memory, 'My dog is called Rex.')
    await say(memory, 'I walk my dog called Rex daily.')
    const [walk, dog] = await all()
    expect([walk?.links, dog?.links]).toEqual([[dog?.id], [walk?.id]])
  })

  test('nothing of a turn that was aborted', async () => {
    const memory = memoryWith(sameForAll)
    const said = { text: 'My name is Anna.', user: 'anna', session: 's1' }
    await expect(memory.remember(said, AbortSignal.abort(new Error('left')))).rejects.toThrow('left')
    expect(await texts(memory, 'name')).toEqual([])
  })
})

describe('while the model or the store is away', () => {
  test('a recall slower than its budget gives up, even when the embedder heeds no signal', async () => {
    const slow = memoryWith(hanging, { budgetMs: 5 })
    await expect(slow.recall('What is my name?', 'anna', live())).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })

  test('what was said waits, in its order, and is remembered once they are back', async () => {
    let isAway = true
    const embed: Embedder['embed'] = async (said, signal) => {
      if (isAway) throw new AppError('stage_failed', 'away')
      return sameForAll.embed(said, signal)
    }
    const memory = memoryWith({ embed })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await say(memory, 'My name is Anna.')
    await expect(
      memory.remember({ text: 'My name is Ann.', user: 'anna', session: 's1' }, live()),
    ).rejects.toMatchObject({ code: 'dependency_unavailable' })
    isAway = false
    await vi.advanceTimersByTimeAsync(5000)
    vi.useRealTimers()
    await eventually(async () => expect(await all()).toHaveLength(2))
    expect(await texts(memory, 'name')).toEqual(['My name is Ann.'])
  })
})

describe('when the embedding model changes', () => {
  test.each([
    ['model', byLetters('other', '1')],
    ['revision', byLetters('letters', '2')],
  ])('to another %s, all is embedded anew behind the turns, and never mixed', async (_, other) => {
    await say(memoryWith(byLetters()), 'My dog is called Rex. I like tea.')
    await say(memoryWith(byLetters()), 'My cat is called Mia.', 'bob')
    const memory = memoryWith(other)
    expect(await texts(memory, 'my dog is called rex')).toEqual([])
    await memory.settled()
    expect(await texts(memory, 'my dog is called rex')).toContain('My dog is called Rex.')
    expect(await texts(memory, 'cat is called', 'bob')).toEqual(['My cat is called Mia.'])
    const old = await other.embed(['x'], live())
    expect(await store.outdated({ model: old.model, revision: old.revision ?? null }, 9, live())).toEqual([])
  })
})
