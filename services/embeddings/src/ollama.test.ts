import type { ModelStatus } from '@hearth/shared/api'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { readyModel } from '@hearth/shared/testing/model-status'
import { slotOf } from '@hearth/shared/testing/slot'
import { describe, expect, test, vi } from 'vitest'
import { createEmbeddingsApp } from './app.ts'

const STATUS = readyModel('demo/minilm')
const TOKENIZER = {
  encode: (text: string) => new Int32Array(text.split(' ').length + 2).fill(9),
  maxTokens: 16,
  dimensions: 2,
  shorterSizes: [],
  vocabularySize: 100,
  revision: '0123456789ab-fp32',
  sizeBytes: 1234,
}

function setUp(status: Partial<ModelStatus> = {}) {
  const log = createLogger({ service: 'embeddings', level: 'silent' })
  let waits = 0
  const model = {
    status: { ...STATUS, ...status },
    ready: async () => void waits++,
    submit: async (ids: Int32Array) => ({
      output: Float32Array.of(ids.length, 0.5),
      queueMs: 1,
      inferenceMs: 2,
      batchSize: 1,
      model: 'demo/minilm',
    }),
  }
  const metrics = createMetrics('embeddings')
  const slot = slotOf({ demo: 'minilm', model, prepared: () => TOKENIZER })
  const options = { slot, maxTexts: 4, log, metrics }
  const app = createEmbeddingsApp({ ...options, now: () => 0 })
  const post = async (path: string, body: unknown) => {
    const headers = { 'content-type': 'application/json' }
    const response = await app.request(path, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }
  return { app, post, slot, waits: () => waits }
}

describe('POST /api/embed', () => {
  test("gives vectors, times in nanoseconds and the tokens' count, under the name that was asked for", async () => {
    const { status, body } = await setUp().post('/api/embed', { model: 'all-minilm:latest', input: ['a b', 'a'] })
    const embeddings = [
      [4, 0.5],
      [3, 0.5],
    ]
    const times = { total_duration: 0, load_duration: 0, prompt_eval_count: 7 }
    expect([status, body]).toEqual([200, { model: 'all-minilm:latest', embeddings, ...times }])
  })

  test('cuts what is too long unless it is told not to', async () => {
    const { post } = setUp()
    const cut = await post('/api/embed', { model: 'all-minilm', input: 'a '.repeat(50), keep_alive: -1 })
    expect([cut.status, cut.headers.get('x-truncated')]).toEqual([200, '0'])
    const refused = await post('/api/embed', { model: 'all-minilm', input: 'a '.repeat(50), truncate: false })
    expect(refused).toMatchObject({ status: 400, body: { error: expect.stringContaining('at most 16 tokens') } })
  })

  test('without input waits for the model and gives no vectors: that is how Ollama preloads', async () => {
    const { post, waits } = setUp()
    for (const input of [undefined, '', []])
      expect((await post('/api/embed', { model: 'all-minilm', input, keep_alive: '5m' })).body).toMatchObject({
        embeddings: [],
      })
    expect(waits()).toBe(3)
  })

  test("tells errors in Ollama's shape, with the status they have elsewhere", async () => {
    const { post } = setUp()
    const cases: [unknown, number, string][] = [
      [{ model: 'nothing', input: 'a' }, 404, 'nothing'],
      [{ input: 'a' }, 400, 'model'],
      [{ model: 'all-minilm', input: ['a', ' '] }, 400, 'input[1]'],
      [{ model: 'all-minilm', input: ['a', 'a', 'a', 'a', 'a'] }, 413, 'at most 4'],
      [{ model: 'all-minilm', input: [1, 2] }, 400, 'a text or a list of texts'],
      [{ model: 'all-minilm', input: 'a', dimensions: 1 }, 400, 'dimensions'],
    ]
    for (const [body, status, says] of cases)
      expect(await post('/api/embed', body)).toMatchObject({ status, body: { error: expect.stringContaining(says) } })
  })
})

test('POST /api/embeddings gives one vector for its prompt, and none for none', async () => {
  const { post } = setUp()
  expect((await post('/api/embeddings', { model: 'all-minilm', prompt: 'a b c' })).body).toEqual({
    embedding: [5, 0.5],
  })
  expect((await post('/api/embeddings', { model: 'all-minilm' })).body).toEqual({ embedding: [] })
  expect(await post('/api/embeddings', { model: 'x', prompt: 'a' })).toMatchObject({ status: 404 })
})

test('keep_alive from elsewhere is taken without effect, and from the machine itself obeyed', async () => {
  const { app, post } = setUp()
  const body = { model: 'all-minilm', input: 'a', keep_alive: '5m' }
  expect((await post('/api/embed', body)).headers.get('x-ignored')).toBe('keep_alive')
  const local = { incoming: { socket: { remoteAddress: '127.0.0.1' }, url: '/api/embed', rawHeaders: [] } }
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const reply = await app.request('/api/embed', init, local)
  expect([reply.status, reply.headers.get('x-ignored')]).toEqual([200, null])
  const wrong = await post('/api/embed', { ...body, keep_alive: 'soon' })
  expect(wrong).toMatchObject({ status: 400, body: { error: expect.stringContaining('duration') } })
})

test('keep_alive is that of the model which the request has got, not of the one before', async () => {
  const { app, slot } = setUp()
  const [lease, keepAlive] = [vi.spyOn(slot, 'lease'), vi.spyOn(slot, 'keepAlive')]
  const local = { incoming: { socket: { remoteAddress: '127.0.0.1' }, url: '/api/embed', rawHeaders: [] } }
  const ask = async (input: string) => {
    const body = JSON.stringify({ model: 'all-minilm', input, keep_alive: 0 })
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    return (await app.request('/api/embed', init, local)).status
  }
  expect([await ask(' '), keepAlive.mock.calls]).toEqual([400, []])
  expect([await ask('a'), keepAlive.mock.calls]).toEqual([200, [[0]]])
  expect(lease.mock.invocationCallOrder[0]).toBeLessThan(keepAlive.mock.invocationCallOrder[0] ?? 0)
})
