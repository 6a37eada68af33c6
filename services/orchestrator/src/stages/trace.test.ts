/** One request through the real clients of the services, which all answer from one stub. */
import { createApp } from '@hearth/shared/http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { encodeWav } from '@hearth/shared/wav'
import { afterEach, expect, test } from 'vitest'
import { Admission } from '../admission.ts'
import { addChatCompletions } from '../chat-completions.ts'
import { fakeStages } from '../testing/fake-stages.ts'
import { sendJson, startStub } from '../testing/http-stub.ts'
import type { HttpStub } from '../testing/http-stub.ts'
import { turnApp } from '../testing/turn-app.ts'
import type { Stages } from '../turn-events.ts'
import { createEmbeddingsClient } from './embeddings.ts'
import { openMemory } from './memory-sqlite.ts'
import { createMemory } from './memory.ts'
import { createSttClient } from './stt.ts'
import { createTtsClient } from './tts.ts'

let stub: HttpStub | undefined
afterEach(async () => stub?.close())

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const TRACED = { 'x-request-id': 'turn-7', traceparent: PARENT, tracestate: 'a=b' }
const audio = Buffer.from(encodeWav({ samples: new Float32Array(3200), sampleRateHz: 16_000 })).toString('base64')

const ANSWERS: Record<string, object> = {
  '/v1/audio/transcriptions': {
    text: 'My name is Anna.',
    language: 'english',
    model: 'demo/whisper',
    usage: { type: 'duration', seconds: 1 },
  },
  '/v1/audio/voices': { voices: [{ id: 'anna', language: 'en-us' }] },
  '/v1/embeddings': {
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: [1, 0] }],
    model: 'demo/vectors',
    usage: { prompt_tokens: 1, total_tokens: 1 },
  },
}

/** The stages over HTTP, and which headers each path was called with. */
async function setUp() {
  const seen: [path: string, headers: Record<string, unknown>][] = []
  stub = await startStub((response, { path }, request) => {
    const told = Object.keys(TRACED).flatMap((name) => (name in request.headers ? [[name, request.headers[name]]] : []))
    seen.push([path, Object.fromEntries(told)])
    const answer = ANSWERS[path]
    if (answer) return sendJson(response, answer)
    response.end(Buffer.alloc(4))
  })
  const service = { url: stub.url, limitMs: 60_000 }
  const embedder = createEmbeddingsClient({ stage: 'memory', ...service })
  const log = createLogger({ service: 'test', level: 'silent' })
  const store = openMemory(':memory:', { log })
  const memory = { embedder, store, threshold: 0, budgetMs: 60_000, log }
  const stages: Partial<Stages> = {
    stt: createSttClient({ stage: 'stt', ...service }),
    memory: createMemory(memory),
    tts: createTtsClient({ stage: 'tts', ...service }, { voicesLimitMs: 60_000 }),
  }
  return { stages, seen }
}

test.each(['application/json', 'text/event-stream'])('every call of a turn as %s has its trace', async (accept) => {
  const { stages, seen } = await setUp()
  const headers = { 'content-type': 'application/json', accept, ...TRACED }
  const { request } = turnApp(stages)
  const response = await request('/generate', { method: 'POST', headers, body: JSON.stringify({ audio }) })
  expect(await response.text()).toContain('Hello there, Anna.')
  const paths = ['/v1/audio/transcriptions', '/v1/embeddings', '/v1/audio/voices', '/v1/audio/speech', '/v1/embeddings']
  expect(new Set(seen.map(([path]) => path))).toEqual(new Set(paths))
  // What is remembered behind the turn is no part of it.
  const behind = seen.findLastIndex(([path]) => path === '/v1/embeddings')
  const calls = seen.filter(([path], at) => path !== '/v1/embeddings' || at !== behind)
  for (const [, told] of calls) expect(told).toEqual(TRACED)
})

test('a turn without a trace of its client has the id that it was given here', async () => {
  const { stages, seen } = await setUp()
  const response = await turnApp(stages).ask({ text: 'Hello.' })
  await response.text()
  expect(seen).not.toEqual([])
  for (const [, told] of seen) expect(told).toEqual({ 'x-request-id': response.headers.get('x-request-id') })
})

test('so has every call of a chat with sound', async () => {
  const { stages, seen } = await setUp()
  const log = createLogger({ service: 'test', level: 'silent' })
  const metrics = createMetrics('test')
  const app = createApp({ service: 'test', models: () => [], log, metrics, maxBodyBytes: 200_000 })
  const options = { instructions: 'Be kind.', admission: new Admission(1), turnLimitMs: 60_000, log, metrics }
  addChatCompletions(app, { stages: fakeStages(stages).stages, ...options })
  const content = [{ type: 'input_audio', input_audio: { data: audio, format: 'wav' } }]
  const spoken = { modalities: ['text', 'audio'], audio: { voice: 'anna', format: 'pcm16' }, stream: true }
  const body = JSON.stringify({ messages: [{ role: 'user', content }], ...spoken })
  const headers = { 'content-type': 'application/json', ...TRACED }
  await (await app.request('/v1/chat/completions', { method: 'POST', headers, body })).text()
  expect(new Set(seen.map(([path]) => path))).toContain('/v1/audio/speech')
  expect(seen[0]?.[0]).toMatch(/transcriptions|voices/)
  for (const [, told] of seen) expect(told).toEqual(TRACED)
})
