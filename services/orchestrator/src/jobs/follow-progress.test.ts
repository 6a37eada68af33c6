import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import type { ServerResponse } from 'node:http'
import { answerHeard, openJobs, startReplica, submissionSaying } from '../testing/job-setup.ts'
import type { JobSetup } from '../testing/job-setup.ts'
import { startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import { startProxy } from '../testing/tcp-proxy.ts'
import { BATCH_SIZE } from './replicas.ts'

const inTime = () => AbortSignal.timeout(20_000)
const SOON = { progressEveryMs: 10 }
let redis: RedisServer
let jobs: JobSetup

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  jobs = await openJobs(redis.url)
  await until(() => jobs.queue.isReady(), inTime())
})
afterEach(async () => {
  await jobs.queue.bull.obliterate({ force: true })
  await jobs.close()
})

/** A replica that answers when it is told to, or dies. */
async function startHolder() {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>()
  const replica = await startReplica((response) => resolve(response))
  onTestFinished(() => replica.close())
  return {
    replica,
    answer: async () => answerHeard(await promise, 'all of it'),
    die: async () => void (await promise).destroy(),
  }
}

const submit = async () => (await jobs.queue.submit(await submissionSaying('an hour'), inTime())).id
const look = (id: string) => jobs.queue.look(id, inTime())
const reaches = (id: string, progress: number) => until(async () => (await look(id)).progress === progress, inTime())

test('a job that is heard tells how much of it is, and at its end that all is', async () => {
  const { replica, answer } = await startHolder()
  jobs.work([replica.url], SOON)
  const id = await submit()
  replica.progress = { seconds: 900, total_seconds: 3600 }
  await reaches(id, 0.25)
  expect(await look(id)).toEqual({ id, status: 'running', progress: 0.25, seconds: 900, total_seconds: 3600 })
  replica.progress = { seconds: 1800, total_seconds: 3600 }
  await reaches(id, 0.5)
  const stored = await jobs.queue.bull.getJob(id)
  expect(stored?.progress).toEqual({ progress: 50, seconds: 1800, total_seconds: 3600 })
  await answer()
  expect(await jobs.ended(id, inTime())).toMatchObject({ status: 'completed', progress: 1 })
  expect(await look(id)).not.toHaveProperty('seconds')
})

test('a job whose replica dies begins anew at another one, and so does its progress', async () => {
  const [first, second] = [await startHolder(), await startHolder()]
  first.replica.progress = { seconds: 30, total_seconds: 60 }
  let names = [first.replica.url]
  const worker = jobs.work(['http://stt:8081'], { ...SOON, findReplicas: async () => names, lookEveryMs: 20 })
  const id = await submit()
  await reaches(id, 0.5)
  names = [first.replica.url, second.replica.url]
  await until(() => worker.concurrency === 2 * BATCH_SIZE, inTime())
  await first.die()
  await until(() => second.replica.asked.length === 1, inTime())
  await reaches(id, 0)
  expect(await look(id)).toEqual({ id, status: 'running', progress: 0 })
  second.replica.progress = { seconds: 15, total_seconds: 60 }
  await reaches(id, 0.25)
  await second.answer()
  expect(await jobs.ended(id, inTime())).toMatchObject({ status: 'completed', result: { text: 'all of it' } })
  expect([first.replica.asked.length, second.replica.asked.length]).toEqual([1, 1])
})

test('a replica that tells no progress fails no job', async () => {
  const { replica, answer } = await startHolder()
  jobs.work([replica.url], SOON)
  const id = await submit()
  await until(() => replica.progressAsked > 3, inTime())
  await answer()
  expect(await jobs.ended(id, inTime())).toMatchObject({ status: 'completed' })
})

test('while Redis does not answer nothing is lost but the progress of that time', async () => {
  const proxy = await startProxy(redis.port)
  onTestFinished(() => proxy.close())
  const { replica, answer } = await startHolder()
  const id = await submit()
  jobs.work([replica.url], { ...SOON, redisUrl: `redis://127.0.0.1:${proxy.port}` })
  replica.progress = { seconds: 1, total_seconds: 4 }
  await reaches(id, 0.25)
  proxy.stall()
  replica.progress = { seconds: 2, total_seconds: 4 }
  const before = replica.progressAsked
  // The second question comes after a write that was given up.
  await until(() => replica.progressAsked >= before + 3, inTime())
  proxy.heal(true)
  await reaches(id, 0.5)
  await answer()
  expect(await jobs.ended(id, inTime())).toMatchObject({ status: 'completed', result: { text: 'all of it' } })
  expect(replica.asked).toHaveLength(1)
})
