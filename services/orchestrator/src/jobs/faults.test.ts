/** What may break around the queue, by the numbers of the list of faults: each test has a Redis, replicas and workers of its own. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { createLogger } from '@hearth/shared/telemetry'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import type { TestContext } from 'vitest'
import type { Answer } from '../testing/http-stub.ts'
import { answerHeard, heardIn, openJobs, startReplica, submissionSaying } from '../testing/job-setup.ts'
import type { JobSetup } from '../testing/job-setup.ts'
import { startRedis, until } from '../testing/redis-server.ts'
import { startProxy } from '../testing/tcp-proxy.ts'
import { WEBHOOK_QUEUE } from './webhook-job.ts'

const LIMIT_MS = 60_000
const inTime = () => AbortSignal.timeout(LIMIT_MS)
/** As long as is usual, and for a test that waits for several of them. */
const LOCKS = { usual: ['2000', '1000'], short: ['600', '300'] }
/** Looks often for jobs that others have left; its own stay its own, also while this process stands still. */
const WATCHFUL = { lockDuration: LIMIT_MS, stalledInterval: 300 }
const WORKER = fileURLToPath(new URL('../testing/job-worker-process.ts', import.meta.url))

async function setUp({ onTestFinished }: TestContext, redisUrl?: string) {
  const redis = redisUrl === undefined ? await startRedis() : undefined
  const url = redisUrl ?? redis?.url ?? ''
  const jobs = await openJobs(url)
  onTestFinished(async () => {
    await jobs.close()
    await redis?.stop()
  })
  await until(() => jobs.queue.isReady(), inTime())
  return { url, jobs }
}

async function replica({ onTestFinished }: TestContext, answer: Answer) {
  const started = await startReplica(answer)
  onTestFinished(() => started.close())
  return started
}

const echo: Answer = (response, { body }) => answerHeard(response, heardIn(body))
const submit = async ({ queue }: JobSetup, text: string, more = {}) =>
  (await queue.submit(await submissionSaying(text, more), inTime())).id

function workInProcess(
  { onTestFinished }: TestContext,
  redisUrl: string,
  folder: string,
  sttUrl: string,
  lock: string[],
) {
  const child = spawn(process.execPath, [WORKER, redisUrl, folder, sttUrl, ...lock], { stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function killed(child: ChildProcess): Promise<void> {
  const died = once(child, 'exit')
  child.kill('SIGKILL')
  await died
}

async function withClient<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

/** Who looks may see a job's end before its worker has deleted its audio. */
const emptySpool = (jobs: JobSetup) => until(async () => (await jobs.spooled()).length === 0, inTime())

const blockedClients = (url: string): Promise<boolean> =>
  withClient(url, async (client) => /cmd=bzpopmin/.test(String(await client.client('LIST'))))

describe.concurrent('the queue', { timeout: LIMIT_MS }, () => {
  test.for([
    { story: 'and gives answers again', isMended: true },
    { story: 'and keeps the old connections silent for ever', isMended: false },
  ])(
    'Redis becomes a black hole $story: callers are refused in time, and the queue comes back (F09)',
    async ({ isMended }, context) => {
      const redis = await startRedis()
      const proxy = await startProxy(redis.port)
      context.onTestFinished(async () => {
        await proxy.close()
        await redis.stop()
      })
      const { jobs } = await setUp(context, `redis://127.0.0.1:${proxy.port}`)
      const ear = await replica(context, echo)
      jobs.work([ear.url])
      await jobs.ended(await submit(jobs, 'before'), inTime())
      proxy.stall()
      const askedAt = performance.now()
      await expect(submit(jobs, 'nobody')).rejects.toMatchObject({ code: 'dependency_unavailable' })
      expect(performance.now() - askedAt).toBeLessThan(5000)
      proxy.heal(isMended)
      let id = ''
      await until(async () => (id = await submit(jobs, 'after').catch(() => '')) !== '', inTime())
      expect(await jobs.ended(id, inTime())).toMatchObject({ result: { text: 'after' } })
    },
  )

  test('a worker killed in mid-job: another one ends it, and it ends once (F01)', async (context) => {
    const { url, jobs } = await setUp(context)
    let isHeld = true
    const slow = await replica(context, (response, asked, request) => isHeld || echo(response, asked, request))
    const id = await submit(jobs, 'survivor')
    const child = workInProcess(context, url, jobs.folder, slow.url, LOCKS.usual)
    await until(() => slow.asked.length === 1, inTime())
    await killed(child)
    isHeld = false
    let ends = 0
    jobs.work([slow.url], { onTimes: () => void ends++, lock: WATCHFUL })
    expect(await jobs.ended(id, inTime())).toMatchObject({ result: { text: 'survivor' } })
    await emptySpool(jobs)
    expect([ends, slow.asked.length]).toEqual([1, 2])
  })

  test('a worker killed each time by the same job: that job fails as poison after four starts, its caller is told, and the next is done (F03)', async (context) => {
    const { url, jobs } = await setUp(context)
    const id = await submit(jobs, 'poison', { webhookUrl: 'http://told.example/' })
    let starts = 0
    const killers = Array.from({ length: 4 }, async () => {
      const deadly = await replica(context, () => {
        starts++
        child.kill('SIGKILL')
      })
      const child = workInProcess(context, url, jobs.folder, deadly.url, LOCKS.short)
      await once(child, 'exit')
    })
    await Promise.all(killers)
    const next = await submit(jobs, 'next')
    const ear = await replica(context, echo)
    jobs.work([ear.url], { lock: WATCHFUL })
    expect(await jobs.ended(id, inTime())).toMatchObject({
      status: 'failed',
      error: { code: 'job_poisoned', status: 500 },
    })
    expect(await jobs.ended(next, inTime())).toMatchObject({ result: { text: 'next' } })
    expect([starts, ear.asked.map(({ body }) => heardIn(body))]).toEqual([4, ['next']])
    await emptySpool(jobs)
    // Its webhook waits no longer.
    const waiting = () => withClient(url, (client) => client.llen(`bull:${WEBHOOK_QUEUE}:wait`))
    await until(async () => (await waiting()) === 1, inTime())
  })

  test('a worker frozen in mid-job is replaced, and when it wakes its result is refused (F05)', async (context) => {
    const { url, jobs } = await setUp(context)
    const held = Promise.withResolvers<void>()
    const old = await replica(
      context,
      (response, { body }) => void held.promise.then(() => answerHeard(response, `${heardIn(body)} of the zombie`)),
    )
    const young = await replica(context, echo)
    const id = await submit(jobs, 'once')
    const child = workInProcess(context, url, jobs.folder, old.url, LOCKS.short)
    await until(() => old.asked.length === 1, inTime())
    child.kill('SIGSTOP')
    const worker = jobs.work([young.url], { lock: WATCHFUL })
    expect(await jobs.ended(id, inTime())).toMatchObject({ result: { text: 'once' } })
    await worker.close()
    held.resolve()
    child.kill('SIGCONT')
    // By the time it has done another job it has tried to end the first one.
    expect(await jobs.ended(await submit(jobs, 'second'), inTime())).toMatchObject({
      result: { text: 'second of the zombie' },
    })
    expect(await jobs.queue.look(id, inTime())).toMatchObject({ status: 'completed', result: { text: 'once' } })
  })

  test('a worker asked to stop ends the job it has, takes no other, and exits (F36)', async (context) => {
    const { url, jobs } = await setUp(context)
    const answers: (() => void)[] = []
    const slow = await replica(context, (...asked) => void answers.push(() => echo(...asked)))
    const ids = [await submit(jobs, 'running')]
    const child = workInProcess(context, url, jobs.folder, slow.url, LOCKS.usual)
    await until(() => answers.length === 1, inTime())
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    // It tells Redis' clients list that it is about to leave: its blocking connection is the first to go.
    await until(async () => !(await blockedClients(url)), inTime())
    ids.push(await submit(jobs, 'waiting'))
    answers[0]?.()
    expect((await exited)[0]).toBe(0)
    const [running, waiting] = await Promise.all(ids.map((id) => jobs.queue.look(id, inTime())))
    expect([running?.status, waiting?.status]).toEqual(['completed', 'queued'])
  })

  test('a worker that has no time to end its job gives it back, and another one does it (F36)', async (context) => {
    const { jobs } = await setUp(context)
    const stuck = await replica(context, () => {})
    const ear = await replica(context, echo)
    const id = await submit(jobs, 'given back')
    const worker = jobs.work([stuck.url], { closeMs: 50 })
    await until(() => stuck.asked.length === 1, inTime())
    await worker.close()
    expect(await jobs.queue.look(id, inTime())).toMatchObject({ status: 'queued' })
    jobs.work([ear.url])
    expect(await jobs.ended(id, inTime())).toMatchObject({ result: { text: 'given back' } })
  })

  test('a job cancelled while another process hears it is given up there, and the next is done', async (context) => {
    const { url, jobs } = await setUp(context)
    const slow = await replica(context, (response, { body }) => {
      if (heardIn(body) !== 'cancelled') answerHeard(response, heardIn(body))
    })
    const id = await submit(jobs, 'cancelled')
    workInProcess(context, url, jobs.folder, slow.url, LOCKS.short)
    await until(() => slow.asked.length === 1, inTime())
    await jobs.queue.cancel(id, inTime())
    await expect(jobs.queue.look(id, inTime())).rejects.toMatchObject({ code: 'job_not_found' })
    // That process has no ear for events: it notices by its lock.
    await until(() => slow.open() === 0, inTime())
    expect(await jobs.ended(await submit(jobs, 'next'), inTime())).toMatchObject({ result: { text: 'next' } })
    expect(slow.asked.map(({ body }) => heardIn(body))).toEqual(['cancelled', 'next'])
    await emptySpool(jobs)
  })

  test('a worker given a job of another version fails it, and goes on (F45)', async (context) => {
    const { url, jobs } = await setUp(context)
    const ear = await replica(context, echo)
    const data = JSON.stringify({ v: 1, ref: 'x', options: { language: 'en' }, priority: 'bulk' })
    const id = await submit(jobs, 'old')
    await withClient(url, (client) => client.hset(`bull:hearth-transcriptions:${id}`, 'data', data))
    const next = await submit(jobs, 'new')
    jobs.work([ear.url])
    expect(await jobs.ended(id, inTime())).toMatchObject({
      status: 'failed',
      error: { code: 'unsupported_job_version' },
    })
    expect(await jobs.ended(next, inTime())).toMatchObject({ result: { text: 'new' } })
  })

  test('Redis killed and started again with its file: no job that was taken is lost (F06)', async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'hearth-redis-'))
    const flags = ['--appendonly', 'yes', '--appendfsync', 'always', '--dir', folder]
    const first = await startRedis(undefined, flags)
    const { jobs } = await setUp(context, first.url)
    const ear = await replica(context, echo)
    const ids = await Promise.all(Array.from({ length: 20 }, (_, at) => submit(jobs, `job ${at}`)))
    await first.stop()
    await until(() => !jobs.queue.isReady(), inTime())
    await expect(submit(jobs, 'nobody')).rejects.toMatchObject({ code: 'dependency_unavailable', status: 503 })
    const again = await startRedis(first.port, flags)
    context.onTestFinished(async () => {
      await again.stop()
      await rm(folder, { recursive: true })
    })
    jobs.work([ear.url])
    await until(() => jobs.queue.isReady(), inTime())
    const reports = await Promise.all(ids.map((id) => jobs.ended(id, inTime())))
    expect(reports.map(({ result }) => result)).toMatchObject(ids.map((_, at) => ({ text: `job ${at}` })))
    expect(ear.asked).toHaveLength(20)
  })

  test('Redis is emptied: who waits is told, nothing stays in the spool, and the next job is done (F10)', async (context) => {
    const { url, jobs } = await setUp(context)
    const stuck = await replica(context, () => {})
    const worker = jobs.work([stuck.url], { closeMs: 0 })
    const heard = submissionSaying('lost').then((job) => jobs.queue.hear(job, inTime()))
    await until(() => stuck.asked.length === 1, inTime())
    await withClient(url, (client) => client.flushall())
    await expect(heard).rejects.toMatchObject({ code: 'job_lost', status: 503, retryable: true })
    expect(await jobs.stored()).toBe(0)
    await worker.close()
    const ear = await replica(context, echo)
    jobs.work([ear.url])
    expect(await jobs.ended(await submit(jobs, 'next'), inTime())).toMatchObject({ result: { text: 'next' } })
  })

  test('Redis is full: no more are taken, the worker rests instead of asking on, and all is done once there is room (F11)', async (context) => {
    const redis = await startRedis(undefined, ['--maxmemory-policy', 'noeviction'])
    context.onTestFinished(() => redis.stop())
    const { jobs } = await setUp(context, redis.url)
    // Has not looked yet whether there is room; the first one may have, up to a second ago.
    const { jobs: others } = await setUp(context, redis.url)
    const ear = await replica(context, echo)
    const ids = await Promise.all(Array.from({ length: 10 }, (_, at) => submit(jobs, `job ${at}`)))
    let lines = 0
    const counted = new Writable({ write: (_chunk, _encoding, done) => done(void lines++) })
    const log = createLogger({ service: 'test', level: 'warn' }, counted)
    await withClient(redis.url, async (client) => {
      const limit = (bytes: number) => client.config('SET', 'maxmemory', String(bytes))
      const refused = async () => Number(/errorstat_OOM:count=(\d+)/.exec(await client.info('errorstats'))?.[1] ?? 0)
      await client.set('filler', Buffer.alloc(18 * 2 ** 20))
      await limit(24 * 2 ** 20)
      await expect(submit(others, 'one more')).rejects.toMatchObject({
        code: 'overloaded',
        status: 429,
        message: expect.stringContaining('% full'),
      })
      await limit(2 ** 20)
      const startedAt = performance.now()
      jobs.work([ear.url], { log })
      await until(() => lines > 0 && performance.now() - startedAt > 2000, inTime())
      expect(lines).toBeLessThanOrEqual(4)
      // Without a rest it is thousands.
      expect(await refused()).toBeLessThan(20)
      await limit(24 * 2 ** 20)
    })
    // Still too full for more jobs, but not for those that it has.
    const reports = await Promise.all(ids.map((id) => jobs.ended(id, inTime())))
    expect(new Set(reports.map(({ status }) => status))).toEqual(new Set(['completed']))
  })
})
