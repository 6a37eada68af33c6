/** Every example of the document, asked of the app itself: what it answers is what the document says, to the last field. */
import { readFile } from 'node:fs/promises'
import { readyModel } from '@hearth/shared/testing/model-status'
import { encodeWav } from '@hearth/shared/wav'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOrchestratorApp } from '../app.ts'
import { Sessions } from '../sessions.ts'
import { createMemoryBook } from '../stages/memory-book.ts'
import { openMemory } from '../stages/memory-sqlite.ts'
import { fakeStages } from '../testing/fake-stages.ts'
import { sendJson, startStub } from '../testing/http-stub.ts'
import type { HttpStub } from '../testing/http-stub.ts'
import { openJobs, silent } from '../testing/job-setup.ts'
import type { JobSetup } from '../testing/job-setup.ts'
import { startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import { openApi, THEMES } from './document.ts'
import type { ResponseObject } from './open-api.ts'
import { addressOf } from './example.ts'
import type { Example, Operation } from './operation.ts'
import type { JsonSchema } from './schemas.ts'

const WAV = encodeWav({ samples: new Float32Array(100), sampleRateHz: 24_000 })
const MODEL = { id: 'whisper-1', object: 'model', created: 0, owned_by: 'hearth', task: 'x', state: 'ready' }
const MIND = { id: 'fake/mind', source: null, state: 'ready', progress: null, warning: null, error: null } as const
const HEARD = { text: 'Good morning.', language: 'english', model: 'fake/ear', usage: { type: 'duration', seconds: 1 } }

/** What the model services answer, by path. */
const SERVICES: Readonly<Record<string, object>> = {
  '/v1/audio/transcriptions': HEARD,
  '/v1/audio/translations': HEARD,
  '/ready?verbose': { service: 'fake', ready: true, models: [readyModel('fake/ear')] },
  '/v1/embeddings': {
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: [1, 0] }],
    model: 'fake/vectors',
    usage: { prompt_tokens: 3, total_tokens: 3 },
  },
  '/v1/audio/voices': { voices: [{ id: 'af_alloy', name: 'Alloy' }] },
  '/v1/audio/models': { models: [{ id: 'kokoro' }] },
  '/v1/models': { object: 'list', data: [MODEL] },
  '/v1/models/whisper-1': MODEL,
}

const document = openApi('1.2.3')
/** For proxies and browsers. */
const PLAIN = { 'x-accel-buffering': '', 'x-content-type-options': '' }
let redis: RedisServer
let jobs: JobSetup
let services: HttpStub
let app: ReturnType<typeof createOrchestratorApp>
/** What earlier answers were about, for the examples that ask for it again. */
const known = { turn: '', job: '' }

beforeAll(async () => {
  redis = await startRedis()
  jobs = await openJobs(redis.url)
  services = await startStub((response, { path }) => {
    if (path !== '/v1/audio/speech') return sendJson(response, SERVICES[path] ?? {})
    response.writeHead(200, { 'content-type': 'audio/wav' })
    return response.end(WAV)
  })
  await until(() => jobs.queue.isReady(), AbortSignal.timeout(20_000))
  jobs.work([services.url])
  app = createOrchestratorApp({
    version: '1.2.3',
    stages: fakeStages().stages,
    sessions: new Sessions({ maxSessions: 100, maxTurns: 20, idleMs: 60_000, maxWaiting: 4 }),
    models: () => [{ ...MIND, loadMs: 1, firstInferenceMs: 1, secondInferenceMs: 1 }],
    services: { stt: services.url, tts: services.url, embeddings: services.url },
    isDraining: () => false,
    memory: createMemoryBook({
      store: openMemory(':memory:', { log: silent }),
      embedder: {
        embed: async (texts) => ({ vectors: texts.map(() => Float32Array.of(1, 0)), model: 'fake/vectors' }),
      },
    }),
    jobs: { queue: jobs.queue, webhooks: { secret: undefined, hosts: [] }, limitMs: 60_000 },
    instructions: 'Be kind.',
    maxUploadBytes: 1_000_000,
    maxTextChars: 8000,
    maxTurns: 4,
    turnLimitMs: 60_000,
    log: createLogger({ service: 'orchestrator', level: 'silent' }),
    metrics: createMetrics('orchestrator'),
  })
})
afterAll(async () => {
  await jobs.close()
  await services.close()
  await redis.stop()
})

const root = new URL('../../../../', import.meta.url)
const fileAt = async (path: string) => new Uint8Array(await readFile(new URL(path, root)))

async function bodyOf({ json, form, file }: Example): Promise<Pick<RequestInit, 'body'>> {
  if (json) return { body: JSON.stringify(json) }
  if (file) return { body: await fileAt(file.name) }
  if (!form) return {}
  const body = new FormData()
  for (const [name, value] of Object.entries(form))
    body.append(name, value.startsWith('@') ? new Blob([await fileAt(value.slice(1))]) : value)
  return { body }
}

async function ask(operation: Operation, example: Example): Promise<Response> {
  const { json, file, headers = {} } = example
  const type = json ? { 'content-type': 'application/json' } : file ? { 'content-type': file.type } : {}
  const id = { '/turns/{id}': known.turn, '/jobs/{id}': known.job }[operation.path]
  return app.request(addressOf(operation, id === undefined ? example : { ...example, path: { id } }), {
    method: operation.method.toUpperCase(),
    headers: { ...type, ...headers },
    ...(await bodyOf(example)),
  })
}

/** Nothing beside the fields that are described: a client may be sent more one day, but the document should know of it. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.fromEntries(Object.entries(value).map(([key, field]) => [key, closed(field)]))
  return 'properties' in fields && !('additionalProperties' in fields)
    ? { ...fields, additionalProperties: false }
    : fields
}

const components = closed(document.components)

function expectToFit(value: unknown, schema: JsonSchema | undefined): void {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  const fits = ajv.compile({ ...Object(closed(schema)), components })
  fits(value)
  expect(fits.errors ?? []).toEqual([])
}

function expectEvents(text: string, events: ResponseObject['x-events'] = {}): void {
  const seen = text.split('\n\n').filter((event) => event !== '')
  expect(seen.length).toBeGreaterThan(3)
  for (const event of seen) {
    const [, name = 'message', data = ''] = /^(?:event: (.+)\n)?data: (.+)$/.exec(event) ?? []
    expect(Object.keys(events)).toContain(name)
    expectToFit(data === '[DONE]' ? data : JSON.parse(data), events[name])
  }
}

const examples = THEMES.flatMap(({ operations }) =>
  operations.flatMap((operation) => operation.examples.map((example) => ({ operation, example }))),
)

describe('an example', () => {
  test.each(
    examples.map(({ operation, example }) => ({
      name: `${operation.method} ${operation.path}: ${example.title ?? operation.summary}`,
      operation,
      example,
    })),
  )('is answered as described: $name', async ({ operation, example }) => {
    const described = document.paths[operation.path]?.[operation.method]
    if (example.json) expectToFit(example.json, described?.requestBody?.content['application/json']?.schema)
    const response = await ask(operation, example)
    const text = await response.clone().text()
    expect(response.status, text).toBeLessThan(300)
    const reply = described?.responses[response.status]
    const type = response.headers.get('content-type')?.split(';', 1)[0] ?? 'none'
    expect(Object.keys(reply?.content ?? { none: '' })).toContain(type)
    const told = Object.keys({ ...document.components.headers, ...reply?.headers, ...PLAIN })
    expect(told).toEqual(expect.arrayContaining([...response.headers.keys()].filter((name) => name.startsWith('x-'))))
    if (type === 'text/event-stream') expectEvents(text, reply?.['x-events'])
    if (type === 'application/json') expectToFit(JSON.parse(text), reply?.content?.[type]?.schema)
    known.turn = response.headers.get('x-turn') ?? known.turn
    known.job = /^\/jobs\/(.+)$/.exec(response.headers.get('location') ?? '')?.[1] ?? known.job
  })

  test('stands below every route but those that have nothing to show', () => {
    const without = THEMES.flatMap(({ operations }) => operations).filter(
      (operation) => operation.examples.length === 0,
    )
    const memories = ['/memories/import', ...Array<string>(3).fill('/memories/{id}')]
    const paths = ['/v1/realtime', ...memories, '/queues', '/web/{version}/{file}']
    expect(without.map(({ path }) => path)).toEqual(paths)
  })
})
