import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { serve } from '@hearth/shared/serve'
import { createApp } from '@hearth/shared/http'
import { createMetrics } from '@hearth/shared/telemetry'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { addGateway } from '../gateway.ts'
import { sendJson } from '../testing/http-stub.ts'
import type { Answer } from '../testing/http-stub.ts'
import { openJobs, silent, startReplica, wavSaying } from '../testing/job-setup.ts'
import type { FakeReplica, JobSetup } from '../testing/job-setup.ts'
import { freePort, startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import { addQueuedTranscriptions } from './transcriptions.ts'

const LIMIT_MS = 20_000
const inTime = () => AbortSignal.timeout(LIMIT_MS)
const PATH = '/v1/audio/transcriptions'
let redis: RedisServer
let jobs: JobSetup
/** What the stub answers now. */
let answer: Answer
let stt: FakeReplica

beforeEach(async () => {
  redis = await startRedis()
  jobs = await openJobs(redis.url)
  answer = (response) => sendJson(response, { text: 'hello' })
  stt = await startReplica((...asked) => answer(...asked))
  await until(() => jobs.queue.isReady(), inTime())
})
afterEach(async () => {
  await jobs.close()
  await stt.close()
  await redis.stop()
})

/** With and without the queue: what the one answers the other is to answer. */
function createTestApp({ isQueued = true, limitMs = LIMIT_MS } = {}) {
  const metrics = createMetrics('test')
  const app = createApp({ service: 'test', models: () => [], log: silent, metrics, maxBodyBytes: 1e6 })
  if (isQueued) addQueuedTranscriptions(app, { queue: jobs.queue, limitMs })
  addGateway(app, { services: { stt: stt.url, tts: stt.url, embeddings: stt.url }, models: () => [], log: silent })
  return app
}

/** Always with the same boundary, as the bytes are compared. */
function upload(fields: readonly (readonly [string, string])[] = [], headers: Record<string, string> = {}) {
  const parts = fields.map(
    ([name, value]) => `--cut\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  const file = '--cut\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
  const body = Buffer.concat([
    Buffer.from(`${parts.join('')}${file}`),
    wavSaying('hello'),
    Buffer.from('\r\n--cut--\r\n'),
  ])
  const type = { 'content-type': 'multipart/form-data; boundary=cut' }
  return { method: 'POST', body, headers: { ...type, 'x-request-id': 'req-1', ...headers } }
}

/** Everything of a reply but the times, which differ. */
async function whole(reply: Response) {
  const headers = Object.fromEntries(reply.headers)
  return {
    status: reply.status,
    body: await reply.text(),
    headers: { ...headers, 'x-total-time': '', 'server-timing': '' },
  }
}

const json =
  (status: number, body: unknown, headers = {}): Answer =>
  (response) =>
    sendJson(response, body, status, headers)
const text =
  (type: string, body: string): Answer =>
  (response) =>
    void response.writeHead(200, { 'content-type': type, 'x-model': 'stub/ear' }).end(body)
const long = {
  text: 'hello',
  words: Array.from({ length: 60_000 }, (_, at) => ({ word: `wörd${at}`, start: at / 4, end: at / 4 + 0.2 })),
}

describe('through the queue the answer is that of the stt service', () => {
  test.each<[string, Answer]>([
    [
      'json',
      json(
        200,
        { text: 'hello', usage: { seconds: 1 } },
        { 'x-model': 'm', 'x-queue-time': '1.0', 'x-ignored': 'prompt' },
      ),
    ],
    ['text', text('text/plain; charset=utf-8', 'héllo\n')],
    ['srt', text('application/x-subrip', '1\n00:00:00,000 --> 00:00:02,000\nhello\n\n')],
    ['vtt', text('text/vtt; charset=utf-8', 'WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nhello\n\n')],
    ['an hour with its words', json(200, long)],
    [
      'a refusal',
      json(
        400,
        { error: { message: 'no', type: 'invalid_request_error', param: 'file', code: 'undecodable_audio' } },
        { 'x-should-retry': 'false' },
      ),
    ],
    [
      'a refusal nobody here knows',
      json(418, { error: { message: 'a teapot', type: 'tea', param: null, code: 'teapot', more: 1 } }),
    ],
    [
      'bytes that are no text',
      (response) => void response.writeHead(200, { 'content-type': 'audio/x-odd' }).end(Buffer.from([0xff, 0, 0xfe])),
    ],
  ])('%s', async (_name, given) => {
    answer = given
    jobs.work([stt.url])
    const fields = [
      ['response_format', 'verbose_json'],
      ['timestamp_granularities[]', 'word'],
      ['timestamp_granularities[]', 'segment'],
      ['prompt', 'a\nb'],
      ['temperature', '0.2'],
      ['colour', 'red'],
    ] as const
    const direct = await whole(await createTestApp({ isQueued: false }).request(PATH, upload(fields)))
    const queued = await whole(await createTestApp().request(PATH, upload(fields)))
    expect(queued).toEqual(direct)
    // And the service was asked the same.
    expect(stt.asked[1]).toEqual(stt.asked[0])
  })

  test('also for translations', async () => {
    jobs.work([stt.url])
    expect((await createTestApp().request('/v1/audio/translations', upload())).status).toBe(200)
    expect(stt.asked[0]?.path).toBe('/v1/audio/translations')
  })

  test('an error of its own, once it failed every time', async () => {
    const body = { error: { message: 'broken', type: 'server_error', param: null, code: 'engine_failed' } }
    answer = json(500, body)
    jobs.work([stt.url])
    const reply = await createTestApp().request(PATH, upload())
    expect([reply.status, await reply.json()]).toEqual([500, body])
    expect(stt.asked).toHaveLength(3)
  })

  test('with its times, and nothing of it is kept', async () => {
    answer = json(200, long, { 'x-total-time': '12.5', 'server-timing': 'inference;dur=8.0, total;dur=12.5' })
    jobs.work([stt.url])
    const reply = await createTestApp().request(PATH, upload())
    expect(reply.headers.get('server-timing')).toMatch(/^inference;dur=8.0, stt;dur=12.5, total;dur=/)
    await reply.arrayBuffer()
    await until(async () => (await jobs.queue.bull.getJobCountByTypes('completed')) === 0, inTime())
    await until(async () => (await jobs.stored()) === 0, inTime())
  })
})

describe('directly, and not through the queue,', () => {
  test('goes a stream of partial words', async () => {
    answer = text('text/event-stream', 'data: {"type":"transcript.text.done"}\n\n')
    const reply = await createTestApp().request(PATH, upload([['stream', 'true']]))
    expect([await reply.text(), reply.headers.get('x-degraded')]).toEqual([
      'data: {"type":"transcript.text.done"}\n\n',
      null,
    ])
    expect(stt.asked[0]?.body).toContain('name="stream"\r\n\r\ntrue\r\n')
  })

  test('goes everything while Redis is away, and the reply says so', async () => {
    await redis.stop()
    await until(() => !jobs.queue.isReady(), inTime())
    const reply = await createTestApp().request(PATH, upload())
    expect([reply.status, reply.headers.get('x-degraded')]).toEqual([200, 'queue'])
  })

  test('goes what Redis lost in the middle', async () => {
    const held = Promise.withResolvers<void>()
    answer = (response) => void held.promise.then(() => sendJson(response, { text: 'late' }))
    jobs.work([stt.url])
    const asked = createTestApp().request(PATH, upload())
    await until(() => stt.asked.length === 1, inTime())
    await redis.stop()
    answer = json(200, { text: 'directly' })
    const reply = await asked
    held.resolve()
    expect([await reply.json(), reply.headers.get('x-degraded')]).toEqual([{ text: 'directly' }, 'queue'])
    expect(stt.asked[1]?.body).toBe(stt.asked[0]?.body)
  })
})

describe('a request', () => {
  test('that has the header x-priority: bulk waits behind those of people who talk', async () => {
    const app = createTestApp()
    void app.request(PATH, upload([], { 'x-priority': 'bulk', 'x-request-id': 'bulk' }))
    void app.request(PATH, upload([], { 'x-request-id': 'talk' }))
    const waiting = async () => jobs.queue.bull.getJobs(['waiting', 'prioritized'])
    await until(async () => (await waiting()).length === 2, inTime())
    const queued = (await waiting()).map(({ data }) => [data.headers['x-request-id'], data.priority])
    expect(Object.fromEntries(queued)).toEqual({ bulk: 'bulk', talk: 'interactive' })
  })

  test.each([
    [upload([], { 'x-priority': 'first' }), 'invalid_request'],
    [upload([], { 'idempotency-key': 'has a space' }), 'invalid_request'],
    [upload([], { 'content-type': 'text/plain' }), 'unsupported_content_type'],
  ])('that is none is refused before it waits (%#)', async (init, code) => {
    const reply = await createTestApp().request(PATH, init)
    expect(await reply.json()).toMatchObject({ error: { code } })
    expect(await jobs.queue.bull.getJobCountByTypes('waiting', 'prioritized')).toBe(0)
  })

  test('repeated with its Idempotency-Key is heard once', async () => {
    jobs.work([stt.url])
    const app = createTestApp()
    const key = { 'idempotency-key': 'once' }
    const replies = [await app.request(PATH, upload([], key)), await app.request(PATH, upload([], key))]
    expect(await Promise.all(replies.map((reply) => reply.text()))).toEqual(['{"text":"hello"}', '{"text":"hello"}'])
    expect(stt.asked).toHaveLength(1)
    const other = await app.request(PATH, upload([['language', 'de']], key))
    expect(other.status).toBe(409)
  })

  test('whose client leaves is taken out of the queue, and so is its audio', async () => {
    const { port, close } = await serve({
      app: createTestApp(),
      port: 0,
      hostname: '127.0.0.1',
      log: silent,
      close: [],
    })
    onTestFinished(close)
    const { body, headers } = upload()
    const call = httpRequest(`http://127.0.0.1:${port}${PATH}`, { method: 'POST', headers }).on('error', () => {})
    call.end(body)
    await until(async () => (await jobs.queue.bull.getWaitingCount()) === 1, inTime())
    call.destroy()
    await until(async () => (await jobs.queue.bull.getWaitingCount()) === 0, inTime())
    await until(async () => (await jobs.stored()) === 0, inTime())
    expect(stt.asked).toEqual([])
  })

  /** What the replica is to answer, while nobody waits for it any more. */
  async function askAndLeave(key: Record<string, string>): Promise<ServerResponse> {
    const held = Promise.withResolvers<ServerResponse>()
    answer = (response) => held.resolve(response)
    // Whoever is to give it up hears of it by an event: its lock is renewed much later.
    jobs.work([stt.url], { lock: { lockDuration: 600_000, stalledInterval: 600_000 } })
    const app = createTestApp()
    const { port, close } = await serve({ app, port: 0, hostname: '127.0.0.1', log: silent, close: [] })
    onTestFinished(close)
    const { body, headers } = upload([], key)
    const call = httpRequest(`http://127.0.0.1:${port}${PATH}`, { method: 'POST', headers }).on('error', () => {})
    call.end(body)
    const response = await held.promise
    call.destroy()
    return response
  }

  test('whose client leaves while it is heard is given up there, and nothing of it is kept', async () => {
    await askAndLeave({})
    await until(() => stt.open() === 0, inTime())
    expect(await jobs.queue.bull.getJobCountByTypes('active', 'waiting', 'delayed', 'completed', 'failed')).toBe(0)
    await until(async () => (await jobs.stored()) === 0, inTime())
    expect(stt.asked).toHaveLength(1)
  })

  test('with an Idempotency-Key whose client leaves is heard to its end, for who comes again', async () => {
    const key = { 'idempotency-key': 'later' }
    sendJson(await askAndLeave(key), { text: 'late' })
    expect(await (await createTestApp().request(PATH, upload([], key))).json()).toEqual({ text: 'late' })
    expect(stt.asked).toHaveLength(1)
  })

  test('whose client asks before it sends is told to go on once, and is heard', async () => {
    jobs.work([stt.url])
    const { port, close } = await serve({
      app: createTestApp(),
      port: 0,
      hostname: '127.0.0.1',
      log: silent,
      close: [],
    })
    onTestFinished(close)
    const { body, headers } = upload()
    const call = httpRequest(`http://127.0.0.1:${port}${PATH}`, {
      method: 'POST',
      headers: { ...headers, expect: '100-continue' },
    })
    call.flushHeaders()
    await once(call, 'continue')
    call.end(body)
    const [reply] = (await once(call, 'response')) as [IncomingMessage]
    expect(reply.statusCode).toBe(200)
    reply.resume()
  })

  test('that no replica takes in time is told so, and is not left in the queue', async () => {
    jobs.work([`http://127.0.0.1:${await freePort()}`])
    const reply = await createTestApp({ limitMs: 300 }).request(PATH, upload())
    expect([reply.status, await reply.json()]).toMatchObject([
      503,
      { error: { code: 'dependency_unavailable' }, stage: 'stt' },
    ])
    await until(async () => (await jobs.stored()) === 0, inTime())
  })
})
