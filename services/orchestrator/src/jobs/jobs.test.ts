import { createMetrics } from '@hearth/shared/telemetry'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  answerHeard,
  answerOverloaded,
  heardIn,
  openJobs,
  startEar,
  startReplica,
  submissionSaying,
  wavSaying,
} from '../testing/job-setup.ts'
import type { FakeReplica, JobSetup } from '../testing/job-setup.ts'
import { freePort, startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import { addQueueMetrics } from './metrics.ts'
import { withTrace } from '../stages/trace.ts'
import { createQueuedStt } from './queued-stt.ts'
import { BATCH_SIZE } from './replicas.ts'

const LIMIT_MS = 20_000
let redis: RedisServer
let jobs: JobSetup
let ear: FakeReplica

beforeEach(async () => {
  redis = await startRedis()
  jobs = await openJobs(redis.url)
  ear = await startEar()
  await until(() => jobs.queue.isReady(), inTime())
})
afterEach(async () => {
  await jobs.close()
  await ear.close()
  await redis.stop()
})

const inTime = () => AbortSignal.timeout(LIMIT_MS)
const submit = async (text: string, key?: string) => {
  const idempotency = key === undefined ? undefined : { owner: 'anna', key, digest: `${text.length}` }
  return jobs.queue.submit(await submissionSaying(text, { idempotency }), inTime())
}
const ended = (id: string) => jobs.ended(id, inTime())
const emptySpool = () => until(async () => (await jobs.spooled()).length === 0, inTime())

describe('a job', () => {
  test('is heard by a replica and keeps its result, and its audio is deleted', async () => {
    const { id, status } = await submit('canary')
    expect(status).toBe('queued')
    expect(await jobs.spooled()).toHaveLength(1)
    jobs.work([ear.url])
    expect(await ended(id)).toMatchObject({
      id,
      status: 'completed',
      progress: 1,
      result: { text: 'I heard canary', model: 'stub/ear' },
    })
    expect(ear.asked[0]?.body).toMatch(/name="language"\r\n\r\nen\r\n/)
    await emptySpool()
  })

  test('never puts its audio into Redis', async () => {
    await submit('canary', 'key 1')
    const held = await everythingIn(redis.url)
    expect(held).toContain('"path":"/v1/audio/transcriptions"')
    expect(held).not.toContain('canary')
    expect(held).not.toContain('RIFF')
  })

  test('that is broken fails alone, with the code of its replica, and is not tried again', async () => {
    const submitted = await Promise.all(['one', 'broken', 'two'].map((text) => submit(text)))
    jobs.work([ear.url])
    expect(await Promise.all(submitted.map(({ id }) => ended(id)))).toMatchObject([
      { result: { text: 'I heard one' } },
      { error: { code: 'undecodable_audio', status: 400, message: 'not a sound', param: 'file' } },
      { result: { text: 'I heard two' } },
    ])
    expect(ear.asked).toHaveLength(3)
    await emptySpool()
  })

  test('of somebody who talks goes before those that can wait', async () => {
    const busy = await startReplica(() => {})
    onTestFinished(() => busy.close())
    await Promise.all(Array.from({ length: BATCH_SIZE }, () => submit('bulk')))
    await jobs.queue.submit(await submissionSaying('urgent', { priority: 'interactive' }), inTime())
    jobs.work([busy.url], { closeMs: 0 })
    await until(() => busy.asked.length === BATCH_SIZE, inTime())
    expect(busy.asked.map(({ body }) => heardIn(body))).toContain('urgent')
  })

  test('is refused when too many wait', async () => {
    const few = await openJobs(redis.url, { maxDepth: 1 })
    onTestFinished(() => few.close())
    await until(() => few.queue.isReady(), inTime())
    await submit('first')
    await expect(few.queue.submit(await submissionSaying('second'), inTime())).rejects.toMatchObject({
      code: 'overloaded',
    })
    expect(await few.spooled()).toEqual([])
  })

  test('is refused before Redis is full', async () => {
    await withClient(redis.url, async (client) => {
      const used = Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1])
      await client.config('SET', 'maxmemory', String(Math.ceil(used * 1.2)))
    })
    await expect(submit('one')).rejects.toMatchObject({ code: 'overloaded', status: 429 })
    expect(await jobs.spooled()).toEqual([])
  })

  test('that never was is not found', async () => {
    const looked = jobs.queue.look('nothing', inTime())
    await expect(looked).rejects.toMatchObject({ code: 'job_not_found', status: 404 })
  })
})

describe('the same Idempotency-Key', () => {
  test('is the same job, also for two requests at the same time', async () => {
    const [first, second] = await Promise.all([submit('once', 'key 1'), submit('once', 'key 1')])
    expect(second?.id).toBe(first?.id)
    expect(await jobs.spooled()).toHaveLength(1)
    jobs.work([ear.url])
    await ended(first?.id ?? '')
    expect(await submit('once', 'key 1')).toMatchObject({ id: first?.id, status: 'completed' })
    expect(ear.asked).toHaveLength(1)
  })

  test('with another file is refused, and the first job stays', async () => {
    const { id } = await submit('once', 'key 1')
    await expect(submit('other', 'key 1')).rejects.toMatchObject({ code: 'idempotency_conflict', status: 409 })
    expect(await jobs.spooled()).toHaveLength(1)
    jobs.work([ear.url])
    expect(await ended(id)).toMatchObject({ result: { text: 'I heard once' } })
  })
})

describe('a replica that fails', () => {
  test('with an error of its own: the next attempt goes to another replica', async () => {
    const ill = await startReplica((response) => response.writeHead(500).end())
    onTestFinished(() => ill.close())
    const { id } = await submit('well')
    jobs.work([ill.url, ear.url])
    expect(await ended(id)).toMatchObject({ result: { text: 'I heard well' } })
    expect(ill.asked).toHaveLength(1)
  })

  test('on every attempt: the job fails with what was wrong, and its audio goes', async () => {
    const ill = await startReplica((response) => response.writeHead(500).end())
    onTestFinished(() => ill.close())
    const { id } = await submit('well')
    jobs.work([ill.url])
    expect(await ended(id)).toMatchObject({
      error: { code: 'stage_failed', message: 'stt: the service answered 500' },
    })
    expect(ill.asked).toHaveLength(3)
    await emptySpool()
  })

  test('for a moment costs no attempt', async () => {
    let answers = 0
    const busy = await startReplica((response, { body }) => {
      if (++answers <= 4) answerOverloaded(response)
      else answerHeard(response, heardIn(body))
    })
    onTestFinished(() => busy.close())
    const { id } = await submit('late')
    jobs.work([busy.url])
    expect(await ended(id)).toMatchObject({ status: 'completed' })
    expect(busy.asked).toHaveLength(5)
  })
})

describe('without Redis', () => {
  test('a job is refused at once, and nothing stays in the spool', async () => {
    await redis.stop()
    await until(() => !jobs.queue.isReady(), inTime())
    await expect(submit('nobody')).rejects.toMatchObject({ code: 'dependency_unavailable', status: 503 })
    expect(await jobs.spooled()).toEqual([])
  })

  test('that comes back, the same worker goes on', async () => {
    jobs.work([ear.url])
    await ended((await submit('before')).id)
    await redis.stop()
    await until(() => !jobs.queue.isReady(), inTime())
    const again = await startRedis(redis.port)
    onTestFinished(() => again.stop())
    await until(() => jobs.queue.isReady(), inTime())
    expect(await ended((await submit('after')).id)).toMatchObject({ result: { text: 'I heard after' } })
  })

  test('that stops while a worker closes, nobody waits for the jobs that it can no longer end', async () => {
    const stuck = await startReplica(() => {})
    onTestFinished(() => stuck.close())
    const worker = jobs.work([stuck.url], { closeMs: 10 * LIMIT_MS })
    await submit('nobody')
    await until(() => stuck.asked.length > 0, inTime())
    const closed = worker.close()
    await redis.stop()
    await expect(closed).resolves.toBeUndefined()
  })

  test('from the start a job is refused too, and taken once Redis is there', async () => {
    const port = await freePort()
    const early = await openJobs(`redis://127.0.0.1:${port}`)
    onTestFinished(() => early.close())
    const job = await submissionSaying('early')
    const send = () => early.queue.submit(job, inTime())
    await expect(send()).rejects.toMatchObject({ code: 'dependency_unavailable' })
    early.work([ear.url])
    const late = await startRedis(port)
    onTestFinished(() => late.stop())
    await until(() => early.queue.isReady(), inTime())
    const { id } = await send()
    expect(await early.ended(id, inTime())).toMatchObject({ result: { text: 'I heard early' } })
  })
})

describe('the ear of a turn', () => {
  const direct = { transcribe: async () => ({ text: 'directly', language: 'english', model: 'stub/direct' }) }
  const listen = () =>
    createQueuedStt({ queue: jobs.queue, direct, limitMs: LIMIT_MS }).transcribe(wavSaying('canary'), inTime())

  test('hears through the queue, and leaves nothing in it', async () => {
    jobs.work([ear.url])
    expect(await listen()).toEqual(expect.objectContaining({ text: 'I heard canary', model: 'stub/ear' }))
    await emptySpool()
    await until(
      async () => !(await everythingIn(redis.url, '*:transcriptions:[0-9a-f]*-*')).includes('canary'),
      inTime(),
    )
  })

  test('is asked with the trace of the turn, through the queue too', async () => {
    const ids: unknown[] = []
    const traced = await startReplica((response, { body }, { headers }) => {
      ids.push(headers['x-request-id'], headers['traceparent'])
      answerHeard(response, heardIn(body))
    })
    onTestFinished(() => traced.close())
    jobs.work([traced.url])
    const signal = withTrace(inTime(), { 'x-request-id': 'turn-7', traceparent: '00-1-2-01' })
    await createQueuedStt({ queue: jobs.queue, direct, limitMs: LIMIT_MS }).transcribe(wavSaying('canary'), signal)
    expect(ids).toEqual(['turn-7', '00-1-2-01'])
  })

  test('hears directly while Redis is away, and says so', async () => {
    await redis.stop()
    const { text, unqueued } = await listen()
    expect(text).toBe('directly')
    expect(unqueued).toMatchObject({ code: 'dependency_unavailable' })
  })

  test('hears directly when Redis goes away in the middle', async () => {
    const stuck = await startReplica(() => {})
    onTestFinished(() => stuck.close())
    jobs.work([stuck.url], { closeMs: 0 })
    const heard = listen()
    await until(() => stuck.asked.length === 1, inTime())
    await redis.stop()
    expect(await heard).toMatchObject({ text: 'directly', unqueued: { code: 'dependency_unavailable' } })
  })

  test('hears directly when Redis was emptied, instead of waiting for ever', async () => {
    const stuck = await startReplica(() => {})
    onTestFinished(() => stuck.close())
    jobs.work([stuck.url], { closeMs: 0 })
    const heard = listen()
    await until(() => stuck.asked.length === 1, inTime())
    await withClient(redis.url, (client) => client.flushall())
    expect(await heard).toMatchObject({ text: 'directly', unqueued: { code: 'job_lost' } })
  })

  test('a file that is broken is told, and not heard again directly', async () => {
    jobs.work([ear.url])
    const stt = createQueuedStt({ queue: jobs.queue, direct, limitMs: LIMIT_MS })
    const heard = stt.transcribe(wavSaying('broken'), inTime())
    await expect(heard).rejects.toMatchObject({ code: 'undecodable_audio' })
  })
})

test('the metrics tell what waits and since when, and nothing while Redis is away', async () => {
  const metrics = createMetrics('test')
  addQueueMetrics(metrics, jobs.queue, () => Date.now() + 60_000)
  await submit('one')
  const told = await metrics.registry.metrics()
  expect(told).toContain('hearth_jobs{state="prioritized",service="test"} 1')
  expect(Number(/^hearth_jobs_oldest_age_seconds\S* (\S+)$/m.exec(told)?.[1])).toBeGreaterThanOrEqual(60)
  await redis.stop()
  expect(await metrics.registry.metrics()).not.toContain('hearth_jobs{')
})

async function withClient<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

/** Keys and values of all keys, whatever their type: DUMP holds short strings as they are. */
const everythingIn = (url: string, pattern = '*') =>
  withClient(url, async (client) => {
    const texts: string[] = []
    for (const key of await client.keys(pattern)) {
      const type = await client.type(key)
      const value =
        type === 'hash'
          ? await client.hgetall(key)
          : type === 'stream'
            ? await client.xrange(key, '-', '+')
            : type === 'list'
              ? await client.lrange(key, 0, -1)
              : type === 'zset'
                ? await client.zrange(key, '0', '-1')
                : await client.get(key).catch(() => type)
      texts.push(key, JSON.stringify(Object.entries(value ?? {}).flat()).replaceAll('\\"', '"'))
    }
    return texts.join('\n')
  })
