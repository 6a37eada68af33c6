import { createLogger } from '@hearth/shared/telemetry'
import { AppError } from '@hearth/shared/errors'
import { Queue } from 'bullmq'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import type { Statements } from '../stages/memory-backlog.ts'
import { startRememberJobs } from './remember-jobs.ts'
import type { RememberJobs, RememberJobsOptions } from './remember-jobs.ts'

const log = createLogger({ service: 'test', level: 'silent' })
const soon = () => AbortSignal.timeout(10_000)
let redis: RedisServer
let open: RememberJobs[] = []
beforeEach(async () => {
  redis = await startRedis()
})
afterEach(async () => {
  await Promise.all(open.map((jobs) => jobs.close()))
  open = []
  await redis.stop()
})

const said = (text: string, user = 'anna'): Statements => ({
  statements: [text],
  user,
  session: 's1',
  turn: 't1',
  saidAt: 1,
})

function start(keep: RememberJobsOptions['keep'] = async () => {}) {
  const kept: string[] = []
  const jobs = startRememberJobs({
    redisUrl: redis.url,
    log,
    retryMs: 20,
    async keep(some, signal) {
      await keep(some, signal)
      kept.push(...some.flatMap(({ statements }) => statements))
    },
  })
  open.push(jobs)
  return { jobs, kept }
}
/** The first connection takes a moment. */
const added = (jobs: RememberJobs, what: Statements) => until(() => jobs.add(what), soon())

test('what is added is kept, and who asks next knows when', async () => {
  const { jobs, kept } = start()
  await added(jobs, said('a'))
  await jobs.settled('anna')
  expect(kept).toEqual(['a'])
  await jobs.settled('nobody')
})

test('while the store is away a job waits in Redis, also when this process ends, and the next one keeps it', async () => {
  const away = start(() => Promise.reject(new AppError('dependency_unavailable', 'away')))
  await added(away.jobs, said('a'))
  await away.jobs.settled('anna')
  await away.jobs.close()
  const { kept } = start()
  await until(() => kept.length > 0, soon())
  expect([away.kept, kept]).toEqual([[], ['a']])
})

test('words that are refused are given up, and do not hold up others', async () => {
  const { jobs, kept } = start(async ([one]) => {
    if (one?.statements[0] === 'bad') throw new AppError('input_too_long', 'too long')
  })
  for (const text of ['bad', 'good']) await added(jobs, said(text))
  await jobs.settled('anna')
  expect(kept).toEqual(['good'])
})

test('the same words of the same turn are one job', async () => {
  const gate = Promise.withResolvers<void>()
  const { jobs, kept } = start(() => gate.promise)
  for (let n = 0; n < 3; n++) await added(jobs, said('a'))
  const queue = new Queue('hearth-memory', { connection: { url: redis.url } })
  expect(await queue.getJobCountByTypes('waiting', 'active', 'delayed')).toBe(1)
  await queue.close()
  gate.resolve()
  await jobs.settled('anna')
  expect(kept).toEqual(['a'])
})

test('without Redis it says at once that it did not take it', async () => {
  const { jobs } = start()
  await added(jobs, said('a'))
  await jobs.settled('anna')
  await redis.stop()
  expect(await jobs.add(said('b'))).toBe(false)
  await jobs.settled('anna')
}, 20_000)
