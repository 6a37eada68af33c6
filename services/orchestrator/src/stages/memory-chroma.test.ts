/** Chroma as a store of notes, against a real server. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NO_CHROMA, startChroma } from '@hearth/chroma-embeddings/testing/chroma-server'
import type { ChromaServer } from '@hearth/chroma-embeddings/testing/chroma-server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { MODEL, noteOf, noteStoreSuite } from '../testing/note-store-suite.ts'
import { Chroma } from './chroma.ts'
import { openChroma } from './memory-chroma.ts'
import { createMemory } from './memory.ts'

const live = (): AbortSignal => new AbortController().signal

describe.skipIf(NO_CHROMA !== null)(`a real Chroma server${NO_CHROMA ? ` (${NO_CHROMA})` : ''}`, () => {
  let folder = ''
  let chroma: ChromaServer
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hearth-chroma-'))
    chroma = await startChroma(folder)
  }, 60_000)
  afterAll(async () => {
    await chroma.kill()
    rmSync(folder, { recursive: true })
  })
  const options = () => ({ url: chroma.url, limitMs: 5000 })
  const clear = async () => {
    const direct = new Chroma(options())
    for (const { name } of await direct.collections(live())) await direct.drop(name, live())
  }

  describe('is a store of notes:', () => {
    noteStoreSuite({ open: () => openChroma(options()), clear })
  })

  test('that is killed -9 has every note that was put, and is found again by the same store', async () => {
    await clear()
    const store = openChroma(options())
    for (let n = 0; n < 20; n++) await store.put([noteOf(`note ${n}`)], live())
    const port = Number(new URL(chroma.url).port)
    await chroma.kill()
    await expect(store.list({ user: 'anna', limit: 50 }, live())).rejects.toMatchObject({
      code: 'dependency_unavailable',
      message: expect.stringContaining('Chroma is away'),
    })
    chroma = await startChroma(folder, port)
    expect((await store.list({ user: 'anna', limit: 50 }, live())).notes).toHaveLength(20)
  }, 60_000)

  test('that stops during a turn costs the turn its memory only; what was said meanwhile is remembered once it is back', async () => {
    await clear()
    const embedder = {
      embed: async (texts: readonly string[]) => ({ vectors: texts.map(() => Float32Array.of(1, 0)), model: 'm' }),
    }
    const log = { info: () => {}, warn: () => {} }
    const memory = createMemory({ embedder, store: openChroma(options()), threshold: 0.3, budgetMs: 2000, log })
    const said = (text: string) => memory.remember({ text, user: 'anna', session: 's1' }, live())
    const texts = async () => (await memory.recall('?', 'anna', live())).memories.map(({ text }) => text)
    await said('I like tea.')
    expect(await texts()).toEqual(['I like tea.'])

    const port = Number(new URL(chroma.url).port)
    await chroma.kill()
    await expect(texts()).rejects.toMatchObject({ code: 'dependency_unavailable' })
    await expect(said('I like cake.')).rejects.toThrow('kept for later')
    chroma = await startChroma(folder, port)
    await expect(said('I like bread.')).rejects.toThrow('kept for later')
    await vi.waitFor(
      async () => expect((await texts()).toSorted()).toEqual(['I like bread.', 'I like cake.', 'I like tea.']),
      {
        timeout: 20_000,
        interval: 100,
      },
    )
    memory.close()
  }, 60_000)

  test('that was wiped meanwhile is begun anew', async () => {
    await clear()
    const store = openChroma(options())
    await store.put([noteOf('a')], live())
    await clear()
    await store.put([noteOf('b')], live())
    expect((await store.list({ user: 'anna', limit: 50 }, live())).notes).toMatchObject([{ text: 'b' }])
  })

  test('may have collections of others, which are left alone', async () => {
    await clear()
    const direct = new Chroma(options())
    await direct.open('hearth-notes', { owner: 'somebody' }, live())
    const store = openChroma(options())
    await store.put([noteOf('a')], live())
    expect(await store.outdated(MODEL, 10, live())).toEqual([])
    expect((await direct.collections(live())).map(({ name }) => name)).toContain('hearth-notes')
  })

  test('whose collection has vectors of another size is refused in plain words', async () => {
    await clear()
    await openChroma(options()).put([noteOf('a')], live())
    const wrong = noteOf('b', { vector: Float32Array.of(1, 0), embedding: MODEL })
    await expect(openChroma(options()).put([wrong], live())).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining('expected vectors of 2 numbers, got a collection of 3'),
    })
  })
})

test('a Chroma that never answers is away after the limit', async () => {
  const { createServer } = await import('node:http')
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const store = openChroma({ url: `http://127.0.0.1:${port}`, limitMs: 20 })
  await expect(store.list({ user: 'anna', limit: 5 }, live())).rejects.toMatchObject({ code: 'dependency_unavailable' })
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})
