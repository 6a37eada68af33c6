import { createApp } from '@hearth/shared/http'
import { createMetrics } from '@hearth/shared/telemetry'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { heardIn, openJobs, silent, startEar, wavSaying } from '../testing/job-setup.ts'
import type { FakeReplica, JobSetup } from '../testing/job-setup.ts'
import { startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import { addDashboard } from './dashboard.ts'
import { addJobRoutes } from './routes.ts'

const LIMIT_MS = 20_000
const Report = z.looseObject({ id: z.string(), status: z.string() })
const Refusal = z.looseObject({ error: z.looseObject({ code: z.string() }) })
const reportIn = async (reply: Response) => Report.parse(await reply.json())
const codeIn = async (reply: Response) => Refusal.parse(await reply.json()).error.code
let redis: RedisServer
let jobs: JobSetup
let ear: FakeReplica

beforeAll(async () => {
  redis = await startRedis()
  jobs = await openJobs(redis.url)
  ear = await startEar()
  jobs.work([ear.url])
  await until(() => jobs.queue.isReady(), AbortSignal.timeout(LIMIT_MS))
})
afterAll(async () => {
  await jobs.close()
  await ear.close()
  await redis.stop()
})

function createTestApp({ hasQueue = true } = {}) {
  const metrics = createMetrics('test')
  const app = createApp({ service: 'test', models: () => [], log: silent, metrics, maxBodyBytes: 1e6 })
  addJobRoutes(app, hasQueue ? { queue: jobs.queue, webhooks: { secret: undefined, hosts: [] } } : undefined)
  if (hasQueue) addDashboard(app, jobs.queue)
  return app
}

function upload(text: string, fields: Record<string, string> = {}, headers: Record<string, string> = {}) {
  const body = new FormData()
  body.append('file', new Blob([wavSaying(text)]), 'speech.wav')
  for (const [name, value] of Object.entries(fields)) body.append(name, value)
  return { method: 'POST', body, headers }
}

async function ended(app: ReturnType<typeof createTestApp>, id: string) {
  let report = { id, status: '' }
  await until(async () => {
    report = await reportIn(await app.request(`/jobs/${id}`))
    return report.status === 'completed' || report.status === 'failed'
  }, AbortSignal.timeout(LIMIT_MS))
  return report
}

test('a file is taken at once, and its result is there when it was heard', async () => {
  const app = createTestApp()
  const taken = await app.request('/jobs/transcriptions', upload('hello', { language: 'en', priority: 'interactive' }))
  expect(taken.status).toBe(202)
  const { id, status } = await reportIn(taken)
  expect([status, taken.headers.get('location')]).toEqual(['queued', `/jobs/${id}`])
  expect(await ended(app, id)).toEqual({
    id,
    status: 'completed',
    progress: 1,
    result: { text: 'I heard hello', language: 'english', model: 'stub/ear', usage: { type: 'duration', seconds: 1 } },
  })
})

test('a job that failed tells the error as the replica told it', async () => {
  const app = createTestApp()
  const { id } = await reportIn(await app.request('/jobs/transcriptions', upload('broken')))
  expect(await ended(app, id)).toMatchObject({
    status: 'failed',
    error: { code: 'undecodable_audio', type: 'invalid_request_error', param: 'file', message: 'not a sound' },
  })
})

test('a repeated request with its key gets the same job, another one gets 409', async () => {
  const app = createTestApp()
  const headers = { 'idempotency-key': 'order-7' }
  const first = await reportIn(await app.request('/jobs/transcriptions', upload('seven', {}, headers)))
  const again = await app.request('/jobs/transcriptions', upload('seven', {}, headers))
  expect([again.status, (await reportIn(again)).id]).toEqual([202, first.id])
  const other = await app.request('/jobs/transcriptions', upload('eight', {}, headers))
  expect([other.status, await codeIn(other)]).toEqual([409, 'idempotency_conflict'])
})

test('a job is cancelled while it waits, while it is heard and when it has ended; then there is none', async () => {
  const app = createTestApp()
  const gone = async (id: string) => {
    expect((await app.request(`/jobs/${id}`, { method: 'DELETE' })).status).toBe(204)
    const replies = [await app.request(`/jobs/${id}`), await app.request(`/jobs/${id}`, { method: 'DELETE' })]
    expect(await Promise.all(replies.map(codeIn))).toEqual(['job_not_found', 'job_not_found'])
  }
  const submitted = async (text: string) => (await reportIn(await app.request('/jobs/transcriptions', upload(text)))).id
  const done = await submitted('done')
  await ended(app, done)
  const running = await Promise.all(['stuck', 'stuck', 'stuck', 'stuck'].map(submitted))
  await until(
    () => ear.asked.filter(({ body }) => heardIn(body) === 'stuck').length === 4,
    AbortSignal.timeout(LIMIT_MS),
  )
  const waiting = await submitted('waiting')
  for (const id of [waiting, ...running, done]) await gone(id)
  await until(() => ear.open() === 0, AbortSignal.timeout(LIMIT_MS))
  expect(ear.asked.map(({ body }) => heardIn(body))).not.toContain('waiting')
  await ended(app, await submitted('next'))
  await until(async () => (await jobs.spooled()).length === 0, AbortSignal.timeout(LIMIT_MS))
})

test.each([
  ['no-such-job', 404, 'job_not_found'],
  ['a%20b', 404, 'job_not_found'],
])('GET /jobs/%s is %i', async (id, status, code) => {
  const reply = await createTestApp().request(`/jobs/${id}`)
  expect([reply.status, await codeIn(reply)]).toEqual([status, code])
})

test.each([
  [upload('x', { priority: 'first' }), 'invalid_request'],
  [upload('x', { webhook_url: 'https://example.com/told' }), 'invalid_request'],
  [{ method: 'POST', body: new URLSearchParams({ file: 'x' }) }, 'missing_file'],
  [upload('x', {}, { 'idempotency-key': 'has a space' }), 'invalid_request'],
])('what can not be a job is refused before it is one (%#)', async (request, code) => {
  const reply = await createTestApp().request('/jobs/transcriptions', request)
  expect([reply.status, await codeIn(reply)]).toEqual([400, code])
})

test('without a queue both say so', async () => {
  const app = createTestApp({ hasQueue: false })
  expect((await app.request('/jobs/transcriptions', upload('x'))).status).toBe(503)
  expect((await app.request('/jobs/one')).status).toBe(503)
})

test('the dashboard shows jobs without their data and results, and changes nothing', async () => {
  const app = createTestApp()
  const { id } = await reportIn(await app.request('/jobs/transcriptions', upload('secret words')))
  await ended(app, id)
  expect((await app.request('/queues')).headers.get('content-type')).toMatch('text/html')
  const name = encodeURIComponent(jobs.queue.bull.name)
  const list = await app.request(`/queues/api/queues?activeQueue=${name}&status=completed`)
  const shown = await list.text()
  expect(shown).toContain(id)
  expect(shown).toContain('[hidden]')
  expect(shown).not.toContain('secret words')
  const one = await (await app.request(`/queues/api/queues/${name}/${id}`)).text()
  expect(one).not.toContain('secret words')
  for (const action of ['empty', 'clean/completed', 'pause', `${id}/clean`, 'obliterate', 'add'])
    await app.request(`/queues/api/queues/${name}/${action}`, {
      method: action === 'add' ? 'POST' : 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
  expect((await app.request(`/jobs/${id}`)).status).toBe(200)
  expect(await jobs.queue.bull.isPaused()).toBe(false)
})

test("the dashboard's files are served, and no others", async () => {
  const app = createTestApp()
  const page = await (await app.request('/queues')).text()
  const [script = ''] = /static\/js\/[\w.-]+\.js/.exec(page) ?? []
  expect((await app.request(`/queues/${script}`)).headers.get('content-type')).toMatch('text/javascript')
  expect((await app.request('/queues/static/..%2f..%2fpackage.json')).status).toBe(404)
  expect((await app.request('/queues/static/nothing.js')).status).toBe(404)
})
