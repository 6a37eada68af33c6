import { afterEach, describe, expect, test, vi } from 'vitest'
import { sendJson, startStub } from '../testing/http-stub.ts'
import type { HttpStub } from '../testing/http-stub.ts'
import { OllamaEmbedder } from './ollama-embeddings.ts'
import type { OllamaEmbedderOptions } from './ollama-embeddings.ts'

const live = (): AbortSignal => new AbortController().signal
let stub: HttpStub
let embedder: OllamaEmbedder | undefined
afterEach(async () => {
  embedder?.close()
  await stub.close()
  vi.useRealTimers()
})

type Stub = { room?: number; change?: Partial<OllamaEmbedderOptions>; vectors?: number[][] }

/** An Ollama with room for `room` models, which puts out the one that was loaded first. */
async function setUp({ room = 2, change = {}, vectors = [[3, 4]] }: Stub = {}) {
  const loaded: string[] = []
  const digests = { 'embed:latest': 'a'.repeat(64), 'chat:3b': 'b' }
  stub = await startStub((response, { path, body }) => {
    const models = (names: string[]) => ({
      models: names.map((name) => ({ name, digest: Reflect.get(digests, name) ?? '' })),
    })
    if (path === '/api/tags') return sendJson(response, models(Object.keys(digests)))
    if (path === '/api/ps') return sendJson(response, models(loaded))
    const { model, input } = JSON.parse(body) as { model: string; input?: string[] }
    const name = model.includes(':') ? model : `${model}:latest`
    if (!loaded.includes(name)) loaded.push(name)
    if (loaded.length > room) loaded.shift()
    sendJson(response, { model, embeddings: input ? vectors : [] })
  })
  const warnings: unknown[] = []
  const log = { info: () => {}, warn: (fields: unknown) => void warnings.push(fields) }
  const limits = { limitMs: 5000, loadMs: 5000, lookEveryMs: 1000 }
  embedder = new OllamaEmbedder({ url: stub.url, model: 'embed', chatModel: 'chat:3b', ...limits, log, ...change })
  return { embedder, loaded, warnings, digests }
}
const sent = (path: string) =>
  stub.asked.filter((one) => one.path === path).map(({ body }) => JSON.parse(body) as object)

describe('vectors', () => {
  test('have length 1, and the digest of the model as their revision', async () => {
    const { embedder: model } = await setUp()
    expect(await model.embed(['a'], live())).toEqual({
      vectors: [Float32Array.of(0.6, 0.8)],
      model: 'ollama/embed',
      revision: 'aaaaaaaaaaaa',
    })
    expect(sent('/api/embed')).toEqual([
      { model: 'embed', input: ['a'], truncate: true, keep_alive: -1, stream: false },
    ])
  })

  test.each([[[]], [[[0, 0]]], [[[1], [2]]]])('%j are a failure of the stage', async (vectors) => {
    const { embedder: model } = await setUp({ vectors })
    await expect(model.embed(['a'], live())).rejects.toMatchObject({ code: 'stage_failed' })
  })

  test('not in time are one too; and an abort is its own reason', async () => {
    const { embedder: model } = await setUp({ change: { url: 'http://127.0.0.1:1' } })
    await expect(model.embed(['a'], live())).rejects.toMatchObject({ code: 'stage_failed' })
    await expect(model.embed(['a'], AbortSignal.abort(new Error('left')))).rejects.toThrow('left')
  })
})

describe('keeping both models in memory', () => {
  test('loads the embedding model, and the chat model again if that put it out', async () => {
    const { embedder: model, loaded } = await setUp({ room: 1 })
    loaded.push('chat:3b')
    expect(model.status).toMatchObject({ id: 'ollama/embed', state: 'idle' })
    await model.watch()
    expect(model.status).toMatchObject({ state: 'ready', error: null })
    expect(sent('/api/embed')).toEqual([{ model: 'embed', keep_alive: -1, stream: false }])
    expect(sent('/api/chat')).toEqual([{ model: 'chat:3b', messages: [], keep_alive: -1, stream: false }])
  })

  test('leaves alone what is there', async () => {
    const { embedder: model, loaded } = await setUp()
    loaded.push('chat:3b', 'embed:latest')
    await model.watch()
    expect([model.status.state, sent('/api/embed'), sent('/api/chat')]).toEqual(['ready', [], []])
  })

  test('brings back what was put out, but not for ever when both do not fit', async () => {
    const { embedder: model, loaded, warnings } = await setUp({ room: 1 })
    loaded.push('chat:3b')
    for (let look = 0; look < 6; look++) await model.watch()
    expect(sent('/api/embed')).toHaveLength(3)
    expect(model.status).toMatchObject({ state: 'failed', error: expect.stringContaining('beside chat:3b') })
    expect(warnings).toHaveLength(1)
  })

  test('says which model has to be pulled, and that Ollama is away', async () => {
    const { embedder: model, digests } = await setUp()
    Reflect.deleteProperty(digests, 'embed:latest')
    await model.watch()
    expect(model.status).toMatchObject({ state: 'failed', error: 'run `ollama pull embed`' })
    await setUp({ change: { url: 'http://127.0.0.1:1' } })
    await embedder?.watch()
    expect(embedder?.status).toMatchObject({ state: 'failed', error: expect.stringContaining('ollama') })
  })
})
