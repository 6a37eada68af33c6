import { createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { Secret } from '@hearth/shared/config'
import { createApp } from '@hearth/shared/http'
import { createMetrics } from '@hearth/shared/telemetry'
import { Queue } from 'bullmq'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { startStub } from '../testing/http-stub.ts'
import type { HttpStub } from '../testing/http-stub.ts'
import { openJobs, silent, startEar, wavSaying } from '../testing/job-setup.ts'
import type { FakeReplica, JobSetup } from '../testing/job-setup.ts'
import { startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import { addJobRoutes } from './routes.ts'
import { WEBHOOK_QUEUE } from './webhook-job.ts'
import { requireWebhookUrl, signedHeaders, signingKey, startWebhookWorker } from './webhooks.ts'

const LIMIT_MS = 20_000
const inTime = () => AbortSignal.timeout(LIMIT_MS)
const key = Buffer.alloc(24, 7)
const secret = new Secret(`whsec_${key.toString('base64')}`)
let redis: RedisServer
let jobs: JobSetup
let ear: FakeReplica

beforeAll(async () => {
  redis = await startRedis()
  ear = await startEar()
})
afterAll(async () => {
  await ear.close()
  await redis.stop()
})
beforeEach(async () => {
  jobs = await openJobs(redis.url)
  await until(() => jobs.queue.isReady(), inTime())
})
afterEach(() => jobs.close())

const NEVER = 0

/** Notes what it was told, and answers with the next status. */
async function startReceiver(statuses: number[]) {
  const told: { headers: IncomingHttpHeaders; body: string }[] = []
  const stub = await startStub((response, { body }, request) => {
    told.push({ headers: request.headers, body })
    const status = statuses.shift() ?? 204
    if (statuses.length >= 0 && status !== NEVER)
      response.writeHead(status, { location: `${stub.url}/elsewhere` }).end()
  })
  onTestFinished(() => stub.close())
  return { told, stub }
}

function deliver(hosts: readonly string[], limitMs = 5000) {
  const worker = startWebhookWorker({ redisUrl: redis.url, look: jobs.queue.look, secret, hosts, limitMs, log: silent })
  onTestFinished(() => worker.close())
}

async function submit(text: string, webhookUrl: string, hosts: readonly string[]): Promise<string> {
  const app = createApp({
    service: 'test',
    models: () => [],
    log: silent,
    metrics: createMetrics('test'),
    maxBodyBytes: 1e6,
  })
  addJobRoutes(app, { queue: jobs.queue, webhooks: { secret, hosts } })
  const body = new FormData()
  body.append('file', new Blob([wavSaying(text)]), 'speech.wav')
  body.append('webhook_url', webhookUrl)
  const reply = await app.request('/jobs/transcriptions', { method: 'POST', body })
  expect(reply.status).toBe(202)
  return z.object({ id: z.string() }).parse(await reply.json()).id
}

const hostOf = ({ url }: HttpStub) => new URL(url).host
const expectSigned = ({ headers, body }: { headers: IncomingHttpHeaders; body: string }, id: string) => {
  const seconds = Number(headers['webhook-timestamp'])
  expect(Math.abs(Date.now() / 1000 - seconds)).toBeLessThan(60)
  const expected = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')
  expect(headers).toMatchObject({
    'webhook-id': id,
    'webhook-signature': `v1,${expected}`,
    'content-type': 'application/json',
  })
}

describe('a webhook', () => {
  test('is told the result once the job has ended, signed', async () => {
    const { told, stub } = await startReceiver([])
    deliver([hostOf(stub)])
    const id = await submit('hello', `${stub.url}/told?of=me`, [hostOf(stub)])
    expect(told).toEqual([])
    jobs.work([ear.url])
    await until(() => told.length === 1, inTime())
    expect(stub.asked[0]).toMatchObject({ method: 'POST', path: '/told?of=me' })
    expect(told[0] && expectSigned(told[0], id)).toBeUndefined()
    expect(JSON.parse(told[0]?.body ?? '')).toEqual({
      type: 'transcription.completed',
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      data: { id, status: 'completed', progress: 1, result: expect.objectContaining({ text: 'I heard hello' }) },
    })
  })

  test('is told of a failure too', async () => {
    const { told, stub } = await startReceiver([])
    deliver([hostOf(stub)])
    const id = await submit('broken', stub.url, [hostOf(stub)])
    jobs.work([ear.url])
    await until(() => told.length === 1, inTime())
    expect(JSON.parse(told[0]?.body ?? '')).toMatchObject({
      type: 'transcription.failed',
      data: { id, status: 'failed', error: { code: 'undecodable_audio', param: 'file' } },
    })
  })

  test.each([
    ['an error', 500],
    ['a redirect, which is not followed,', 302],
    ['no answer', NEVER],
  ])('that gets %s is repeated with the same id', async (_name, status) => {
    const { told, stub } = await startReceiver([status, 200])
    deliver([hostOf(stub)], 300)
    const id = await submit('again', stub.url, [hostOf(stub)])
    jobs.work([ear.url])
    await until(() => told.length === 1, inTime())
    await retryNow(id)
    await until(() => told.length === 2, inTime())
    expect(stub.asked.map(({ path }) => path)).toEqual(['/', '/'])
    for (const each of told) expectSigned(each, id)
    await until(async () => (await openQueue().getJob(id)) === undefined, inTime())
  })

  test('outlives the process that was to deliver it', async () => {
    const { told, stub } = await startReceiver([])
    const id = await submit('later', stub.url, [hostOf(stub)])
    jobs.work([ear.url])
    await jobs.ended(id, inTime())
    await jobs.close()
    jobs = await openJobs(redis.url)
    await until(() => jobs.queue.isReady(), inTime())
    deliver([hostOf(stub)])
    await until(() => told.length === 1, inTime())
    expect(told[0]?.headers['webhook-id']).toBe(id)
  })

  test('to a host that was taken from the list since is not called', async () => {
    const { told, stub } = await startReceiver([])
    const id = await submit('nobody', stub.url, [hostOf(stub)])
    jobs.work([ear.url])
    deliver(['elsewhere.example'])
    const queue = openQueue()
    await until(async () => (await queue.getJobState(id)) === 'failed', inTime())
    expect(told).toEqual([])
  })
})

function openQueue(): Queue {
  const { hostname: host, port } = new URL(redis.url)
  const queue = new Queue(WEBHOOK_QUEUE, { connection: { host, port: Number(port) } })
  onTestFinished(() => queue.close())
  return queue
}

/** Its first repetition comes after seconds. */
async function retryNow(id: string): Promise<void> {
  const queue = openQueue()
  await until(async () => (await queue.getJobState(id)) === 'delayed', inTime())
  await (await queue.getJob(id))?.promote()
}

describe('the address of a webhook', () => {
  const settings = { secret, hosts: ['hooks.example.com', 'inside:9000'] }

  test.each(['https://hooks.example.com/a', 'http://hooks.example.com:80/', 'http://inside:9000/x'])(
    'may be %s',
    (url) => {
      expect(requireWebhookUrl(url, settings)).toBe(new URL(url).href)
    },
  )

  test.each([
    'https://elsewhere.example/',
    'https://hooks.example.com:8443/',
    'https://hooks.example.com.evil.example/',
    'https://user:word@hooks.example.com/',
    'http://169.254.169.254/latest',
    'http://inside/',
    'file:///etc/passwd',
    'no address',
    `https://hooks.example.com/${'a'.repeat(2000)}`,
  ])('may not be %s', (url) => {
    expect(() => requireWebhookUrl(url, settings)).toThrow(
      expect.objectContaining({ code: 'invalid_request', param: 'webhook_url' }),
    )
  })

  test.each([
    { secret: undefined, hosts: ['hooks.example.com'] },
    { secret, hosts: [] },
  ])('is refused without settings for it (%#)', (without) => {
    expect(() => requireWebhookUrl('https://hooks.example.com/', without)).toThrow(
      /WEBHOOK_SECRET and JOBS_WEBHOOK_HOSTS/,
    )
  })
})

test('signatures are those of Standard Webhooks', () => {
  // The example of Standard Webhooks' own libraries.
  const known = signingKey(new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'))
  const headers = signedHeaders(known, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}')
  expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

test.each(['secret', 'whsec_c2hvcnQ=', `whsec_${'a'.repeat(200)}`])('%s is no secret to sign with', (text) => {
  expect(() => signingKey(new Secret(text))).toThrow(expect.objectContaining({ code: 'invalid_config' }))
})
