import type { ServerResponse } from 'node:http'
import { createMetrics } from '@hearth/shared/telemetry'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Answer } from '../testing/http-stub.ts'
import { answerHeard, heardIn, openJobs, startReplica, submissionSaying } from '../testing/job-setup.ts'
import type { FakeReplica, JobSetup } from '../testing/job-setup.ts'
import { freePort, startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import { addJobTimes } from './metrics.ts'
import { BATCH_SIZE } from './replicas.ts'

const inTime = () => AbortSignal.timeout(20_000)
let redis: RedisServer
let jobs: JobSetup
const closing: (() => Promise<void>)[] = []

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  jobs = await openJobs(redis.url)
  await until(() => jobs.queue.isReady(), inTime())
})
afterEach(async () => {
  // The replicas first: they may still hold jobs.
  await Promise.all(closing.splice(0).map((close) => close()))
  await jobs.queue.bull.obliterate({ force: true })
  await jobs.close()
})

/** Holds what it is asked until it is let go; from then on it answers at once. */
async function startHolder() {
  const held: { response: ServerResponse; text: string }[] = []
  let isHolding = true
  const replica = await startReplica((response, { body }) => {
    if (isHolding) held.push({ response, text: heardIn(body) })
    else answerHeard(response, heardIn(body))
  })
  const letGo = (): void => {
    isHolding = false
    for (const { response, text } of held.splice(0)) answerHeard(response, text)
  }
  closing.push(() => replica.close())
  return { url: replica.url, asked: replica.asked, replica, letGo }
}

const submitAll = async (count: number) => {
  const submitted = Array.from({ length: count }, async (_, at) =>
    jobs.queue.submit(await submissionSaying(`job ${at}`), inTime()),
  )
  return (await Promise.all(submitted)).map(({ id }) => id)
}
const allEnded = (ids: readonly string[]) => Promise.all(ids.map((id) => jobs.ended(id, inTime())))
const textsAt = ({ asked }: Pick<FakeReplica, 'asked'>) => asked.map(({ body }) => heardIn(body))
const count = (...replicas: Pick<FakeReplica, 'asked'>[]) => replicas.map(({ asked }) => asked.length)

describe('jobs that wait', () => {
  test('go out as one batch to each ready replica, and the metrics tell how many went together', async () => {
    const [one, two] = [await startHolder(), await startHolder()]
    const metrics = createMetrics('test')
    const { onBatch } = addJobTimes(metrics)
    const ids = await submitAll(2 * BATCH_SIZE + 1)
    jobs.work([one.url, two.url], { onBatch })
    await until(() => one.asked.length + two.asked.length === 2 * BATCH_SIZE, inTime())
    expect(count(one, two)).toEqual([BATCH_SIZE, BATCH_SIZE])
    const told = await metrics.registry.metrics()
    expect(told).toContain(`hearth_job_batch_size_sum{service="test"} ${2 * BATCH_SIZE}`)
    expect(told).toContain('hearth_job_batch_size_count{service="test"} 2')
    one.letGo()
    two.letGo()
    expect(new Set((await allEnded(ids)).map(({ status }) => status))).toEqual(new Set(['completed']))
  })

  test('gathered for a window go out together, though they came one after another', async () => {
    const one = await startHolder()
    const sizes: number[] = []
    jobs.work([one.url], { windowMs: 600_000, onBatch: (size) => sizes.push(size) })
    const ids: string[] = []
    for (let at = 0; at < BATCH_SIZE; at++) {
      expect(one.asked).toEqual([])
      ids.push(...(await submitAll(1)))
    }
    one.letGo()
    await allEnded(ids)
    expect(sizes).toEqual([BATCH_SIZE])
  })
})

describe('replicas of one name', () => {
  test('get jobs as soon as they join, though the others are busy, and none once they left', async () => {
    const [one, two] = [await startHolder(), await startHolder()]
    let names = [one.url]
    const worker = jobs.work(['http://stt:8081'], { findReplicas: async () => names, lookEveryMs: 20 })
    const ids = await submitAll(2 * BATCH_SIZE)
    await until(() => one.asked.length === BATCH_SIZE, inTime())
    expect(worker.concurrency).toBe(BATCH_SIZE)
    names = [one.url, two.url]
    await until(() => two.asked.length === BATCH_SIZE, inTime())
    expect([worker.concurrency, one.asked.length]).toEqual([2 * BATCH_SIZE, BATCH_SIZE])
    names = [two.url]
    await until(() => worker.concurrency === BATCH_SIZE, inTime())
    one.letGo()
    two.letGo()
    await allEnded(ids)
    await allEnded(await submitAll(3))
    expect(count(one, two)).toEqual([BATCH_SIZE, BATCH_SIZE + 3])
  })

  test('that say they are not ready get none while another is, and some once they are', async () => {
    const [one, two] = [await startHolder(), await startHolder()]
    one.replica.isReady = false
    const worker = jobs.work([one.url, two.url], { lookEveryMs: 20 })
    const first = await submitAll(2 * BATCH_SIZE)
    await until(() => two.asked.length === BATCH_SIZE, inTime())
    expect([worker.concurrency, one.asked.length]).toEqual([BATCH_SIZE, 0])
    one.replica.isReady = true
    await until(() => one.asked.length === BATCH_SIZE, inTime())
    one.letGo()
    two.letGo()
    await allEnded(first)
  })

  test('that all went away leave the jobs waiting, and they are done when one is back (F22)', async () => {
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const echo: Answer = (response, { body }) => answerHeard(response, heardIn(body))
    const first = await startReplica(echo, port)
    let looks = 0
    const findReplicas = async () => {
      looks++
      return [url]
    }
    jobs.work([url], { findReplicas, lookEveryMs: 20 })
    await allEnded(await submitAll(1))
    await first.close()
    const ids = await submitAll(3)
    const before = looks
    // Longer than a job waits between two attempts.
    await until(() => looks > before + 30, inTime())
    const waiting = await Promise.all(ids.map((id) => jobs.queue.bull.getJob(id)))
    expect(Math.max(...waiting.map((job) => job?.attemptsStarted ?? 0))).toBeLessThanOrEqual(1)
    const back = await startReplica(echo, port)
    closing.push(() => back.close())
    expect((await allEnded(ids)).map(({ status }) => status)).toEqual(Array(3).fill('completed'))
    expect(back.asked).toHaveLength(3)
  })

  test('that come and go under load lose no job and double none (F38)', async () => {
    const replicas = await Promise.all(
      Array.from({ length: 4 }, () => startReplica((response, { body }) => answerHeard(response, heardIn(body)))),
    )
    closing.push(...replicas.map((replica) => () => replica.close()))
    const all = replicas.map(({ url }) => url)
    let names = all
    let done = 0
    const onTimes = () => void done++
    const worker = jobs.work(['http://stt:8081'], { findReplicas: async () => names, lookEveryMs: 5, onTimes })
    const ids: string[] = []
    for (const some of [all, all.slice(0, 1), all]) {
      names = some
      ids.push(...(await submitAll(40)))
      await until(() => worker.concurrency === some.length * BATCH_SIZE, inTime())
    }
    const reports = await allEnded(ids)
    expect(new Set(reports.map(({ status }) => status))).toEqual(new Set(['completed']))
    expect([done, replicas.flatMap(textsAt).length]).toEqual([120, 120])
  })
})

test('several orchestrators at one queue do each job once', async () => {
  const one = await startReplica((response, { body }) => answerHeard(response, heardIn(body)))
  closing.push(() => one.close())
  const other = await openJobs(redis.url, { spool: jobs.spool, results: jobs.results })
  onTestFinished(() => other.close())
  const done = { one: 0, other: 0 }
  const ids = await submitAll(60)
  jobs.work([one.url], { onTimes: () => void done.one++ })
  other.work([one.url], { onTimes: () => void done.other++ })
  const reports = await allEnded(ids)
  expect(reports.map(({ result }) => result)).toMatchObject(ids.map((_, at) => ({ text: `job ${at}` })))
  expect(new Set(textsAt(one)).size).toBe(60)
  expect(one.asked).toHaveLength(60)
  expect(done.one + done.other).toBe(60)
  // A caller of one is told what the worker of the other heard.
  const heard = await other.queue.hear(await submissionSaying('both'), inTime())
  expect(heard.status).toBe(200)
})
