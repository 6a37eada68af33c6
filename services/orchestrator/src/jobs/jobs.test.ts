import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createMetrics } from '@hearth/shared/telemetry'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { answerHeard, heardIn, openJobs, startEar, wavSaying } from '../testing/job-setup.ts'
import type { JobSetup } from '../testing/job-setup.ts'
import { startStub } from '../testing/http-stub.ts'
import type { HttpStub } from '../testing/http-stub.ts'
import { freePort, startRedis, until } from '../testing/redis-server.ts'
import type { RedisServer } from '../testing/redis-server.ts'
import { addQueueMetrics } from './metrics.ts'
import { refuse, startS3 } from '../testing/s3-server.ts'
import { createQueuedStt } from './queued-stt.ts'
import { BATCH_SIZE } from './replicas.ts'
import { createS3Spool } from './spool-s3.ts'

const LIMIT_MS = 20_000
let redis: RedisServer
let jobs: JobSetup
let ear: HttpStub

beforeEach(async () => {
  redis = await startRedis()
  jobs = await openJobs(redis.url)
  ear = await startEar()
  await until(() => jobs.queue.isReady(), AbortSignal.timeout(LIMIT_MS))
})
afterEach(async () => {
  await jobs.close()
  await ear.close()
  await redis.stop()
})

const submit = (text: string, key?: string) =>
  jobs.queue.submit(
    {
      audio: wavSaying(text),
      options: { language: 'en' },
      priority: 'bulk',
      idempotency: key === undefined ? undefined : { owner: 'anna', key },
    },
    AbortSignal.timeout(LIMIT_MS),
  )
const wait = (id: string) => jobs.queue.wait(id, AbortSignal.timeout(LIMIT_MS))
const emptySpool = () => until(async () => (await jobs.spooled()).length === 0, AbortSignal.timeout(LIMIT_MS))

describe('a job', () => {
  test('is heard by a replica and keeps its result, and its audio is deleted', async () => {
    const { id, status } = await submit('canary')
    expect(status).toBe('queued')
    expect(await jobs.spooled()).toHaveLength(1)
    jobs.work([ear.url])
    expect(await wait(id)).toMatchObject({ text: 'I heard canary', model: 'stub/ear' })
    expect(await jobs.queue.look(id, AbortSignal.timeout(LIMIT_MS))).toMatchObject({
      id,
      status: 'completed',
      progress: 1,
      result: { text: 'I heard canary' },
    })
    expect(ear.asked[0]?.body).toMatch(/name="language"\r\n\r\nen\r\n/)
    await emptySpool()
  })

  test('never puts its audio into Redis', async () => {
    await submit('canary', 'key 1')
    const held = await everythingIn(redis.url)
    expect(held).toContain('"language":"en"')
    expect(held).not.toContain('canary')
    expect(held).not.toContain('RIFF')
  })

  test('that is broken fails alone, with the code of its replica, and is not tried again', async () => {
    const submitted = await Promise.all(['one', 'broken', 'two'].map((text) => submit(text)))
    jobs.work([ear.url])
    const ended = await Promise.allSettled(submitted.map(({ id }) => wait(id)))
    expect(ended).toMatchObject([
      { value: { text: 'I heard one' } },
      { reason: { code: 'undecodable_audio', status: 400, message: 'not a sound', param: 'file' } },
      { value: { text: 'I heard two' } },
    ])
    expect(ear.asked).toHaveLength(3)
    await emptySpool()
  })

  test('of somebody who talks goes before those that can wait', async () => {
    const busy = await startStub(() => {})
    onTestFinished(() => busy.close())
    await Promise.all(Array.from({ length: BATCH_SIZE }, () => submit('bulk')))
    const urgent = { audio: wavSaying('urgent'), options: {}, priority: 'interactive' as const }
    await jobs.queue.submit(urgent, AbortSignal.timeout(LIMIT_MS))
    jobs.work([busy.url], { limitMs: 2000 })
    await until(() => busy.asked.length === BATCH_SIZE, AbortSignal.timeout(LIMIT_MS))
    expect(busy.asked.map(({ body }) => heardIn(body))).toContain('urgent')
  })

  test('is refused when too many wait', async () => {
    const few = await openJobs(redis.url, { maxDepth: 1 })
    onTestFinished(() => few.close())
    await until(() => few.queue.isReady(), AbortSignal.timeout(LIMIT_MS))
    await submit('first')
    const second = { audio: wavSaying('second'), options: {}, priority: 'bulk' as const }
    await expect(few.queue.submit(second, AbortSignal.timeout(LIMIT_MS))).rejects.toMatchObject({ code: 'overloaded' })
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
    const looked = jobs.queue.look('nothing', AbortSignal.timeout(LIMIT_MS))
    await expect(looked).rejects.toMatchObject({ code: 'job_not_found', status: 404 })
  })
})

describe('the same Idempotency-Key', () => {
  test('is the same job, also for two requests at the same time', async () => {
    const [first, second] = await Promise.all([submit('once', 'key 1'), submit('once', 'key 1')])
    expect(second?.id).toBe(first?.id)
    expect(await jobs.spooled()).toHaveLength(1)
    jobs.work([ear.url])
    await wait(first?.id ?? '')
    expect(await submit('once', 'key 1')).toMatchObject({ id: first?.id, status: 'completed' })
    expect(ear.asked).toHaveLength(1)
  })

  test('with another file is refused, and the first job stays', async () => {
    const { id } = await submit('once', 'key 1')
    await expect(submit('other', 'key 1')).rejects.toMatchObject({ code: 'idempotency_conflict', status: 409 })
    expect(await jobs.spooled()).toHaveLength(1)
    jobs.work([ear.url])
    expect(await wait(id)).toMatchObject({ text: 'I heard once' })
  })
})

describe('a replica that fails', () => {
  test('with an error of its own: the next attempt goes to another replica', async () => {
    const ill = await startStub((response) => response.writeHead(500).end())
    onTestFinished(() => ill.close())
    const { id } = await submit('well')
    jobs.work([ill.url, ear.url])
    expect(await wait(id)).toMatchObject({ text: 'I heard well' })
    expect(ill.asked).toHaveLength(1)
  })

  test('on every attempt: the job fails with what was wrong, and its audio goes', async () => {
    const ill = await startStub((response) => response.writeHead(500).end())
    onTestFinished(() => ill.close())
    const { id } = await submit('well')
    jobs.work([ill.url])
    await expect(wait(id)).rejects.toMatchObject({ code: 'stage_failed', message: 'stt: the service answered 500' })
    expect(ill.asked).toHaveLength(3)
    await emptySpool()
  })

  test('to be there costs no attempt', { timeout: LIMIT_MS }, async () => {
    const port = await freePort()
    const { id } = await submit('late')
    jobs.work([`http://127.0.0.1:${port}`])
    const { bull } = jobs.queue
    await until(async () => ((await bull.getJob(id))?.attemptsStarted ?? 0) >= 4, AbortSignal.timeout(LIMIT_MS))
    expect(await jobs.queue.look(id, AbortSignal.timeout(LIMIT_MS))).not.toHaveProperty('error')
    expect((await bull.getJob(id))?.attemptsMade).toBe(0)
  })
})

test('a worker killed in mid-job: another one ends it, and it ends once', { timeout: 30_000 }, async () => {
  let isHeld = true
  const slow = await startStub((response, { body }) => isHeld || answerHeard(response, heardIn(body)))
  onTestFinished(() => slow.close())
  const { id } = await submit('survivor')
  const program = fileURLToPath(new URL('../testing/job-worker-process.ts', import.meta.url))
  const child = spawn(process.execPath, [program, redis.url, jobs.folder, slow.url], { stdio: 'ignore' })
  const died = once(child, 'exit')
  onTestFinished(() => void child.kill('SIGKILL'))
  await until(() => slow.asked.length === 1, AbortSignal.timeout(LIMIT_MS))
  child.kill('SIGKILL')
  await died
  isHeld = false
  let ends = 0
  jobs.work([slow.url], { onTimes: () => void ends++ })
  expect(await wait(id)).toMatchObject({ text: 'survivor' })
  await emptySpool()
  expect([ends, slow.asked.length]).toEqual([1, 2])
})

describe('with the audio in a bucket', () => {
  const bucketed = async () => {
    const server = await startS3()
    const spool = createS3Spool({ bucket: server.bucket, folder: 'spool', maxBytes: 1e6, maxAgeMs: 900_000 })
    const setup = await openJobs(redis.url, { spool })
    onTestFinished(async () => {
      await setup.close()
      await server.close()
    })
    await until(() => setup.queue.isReady(), AbortSignal.timeout(LIMIT_MS))
    const send = () =>
      setup.queue.submit({ audio: wavSaying('canary'), options: {}, priority: 'bulk' }, AbortSignal.timeout(LIMIT_MS))
    return { server, spool, queue: setup.queue, send, work: () => setup.work([ear.url], { spool }) }
  }

  test('a job is heard on another machine, and its audio is deleted', async () => {
    const { server, send, work } = await bucketed()
    const { id } = await send()
    expect(server.objects.size).toBe(1)
    work()
    expect(await wait(id)).toMatchObject({ text: 'I heard canary' })
    await until(() => server.objects.size === 0, AbortSignal.timeout(1000))
  })

  test('a job waits for a bucket that is away, and costs no attempt', async () => {
    const { server, send, work, queue } = await bucketed()
    const { id } = await send()
    server.fault = (response) => refuse(response, 503, 'SlowDown')
    work()
    await until(async () => (await queue.bull.getDelayedCount()) === 1, AbortSignal.timeout(LIMIT_MS))
    expect((await queue.bull.getJob(id))?.attemptsMade).toBe(0)
    server.fault = undefined
    expect(await wait(id)).toMatchObject({ text: 'I heard canary' })
  })

  test('a turn hears directly while the bucket is away, and says so', async () => {
    const { server, queue } = await bucketed()
    server.fault = (response) => refuse(response, 500, 'InternalError')
    const direct = { transcribe: async () => ({ text: 'directly', language: 'english', model: 'stub/direct' }) }
    const stt = createQueuedStt({ queue, direct, limitMs: LIMIT_MS })
    const heard = await stt.transcribe(wavSaying('canary'), AbortSignal.timeout(LIMIT_MS))
    expect(heard).toMatchObject({ text: 'directly', unqueued: { code: 'dependency_unavailable' } })
  })
})

describe('without Redis', () => {
  test('a job is refused at once, and nothing stays in the spool', async () => {
    await redis.stop()
    await until(() => !jobs.queue.isReady(), AbortSignal.timeout(LIMIT_MS))
    await expect(submit('nobody')).rejects.toMatchObject({ code: 'dependency_unavailable', status: 503 })
    expect(await jobs.spooled()).toEqual([])
  })

  test('that comes back, the same worker goes on', async () => {
    jobs.work([ear.url])
    await wait((await submit('before')).id)
    await redis.stop()
    await until(() => !jobs.queue.isReady(), AbortSignal.timeout(LIMIT_MS))
    const again = await startRedis(redis.port)
    onTestFinished(() => again.stop())
    await until(() => jobs.queue.isReady(), AbortSignal.timeout(LIMIT_MS))
    expect(await wait((await submit('after')).id)).toMatchObject({ text: 'I heard after' })
  })

  test('from the start a job is refused too, and taken once Redis is there', async () => {
    const port = await freePort()
    const early = await openJobs(`redis://127.0.0.1:${port}`)
    onTestFinished(() => early.close())
    const job = { audio: wavSaying('early'), options: {}, priority: 'bulk' as const }
    const send = () => early.queue.submit(job, AbortSignal.timeout(LIMIT_MS))
    await expect(send()).rejects.toMatchObject({ code: 'dependency_unavailable' })
    early.work([ear.url])
    const late = await startRedis(port)
    onTestFinished(() => late.stop())
    await until(() => early.queue.isReady(), AbortSignal.timeout(LIMIT_MS))
    const { id } = await send()
    expect(await early.queue.wait(id, AbortSignal.timeout(LIMIT_MS))).toMatchObject({ text: 'I heard early' })
  })
})

describe('the ear of a turn', () => {
  const direct = { transcribe: async () => ({ text: 'directly', language: 'english', model: 'stub/direct' }) }
  const listen = () =>
    createQueuedStt({ queue: jobs.queue, direct, limitMs: LIMIT_MS }).transcribe(
      wavSaying('canary'),
      AbortSignal.timeout(LIMIT_MS),
    )

  test('hears through the queue, and leaves nothing in it', async () => {
    jobs.work([ear.url])
    expect(await listen()).toEqual(expect.objectContaining({ text: 'I heard canary', model: 'stub/ear' }))
    await emptySpool()
    await until(
      async () => !(await everythingIn(redis.url, '*:transcriptions:[0-9a-f]*-*')).includes('canary'),
      AbortSignal.timeout(LIMIT_MS),
    )
  })

  test('hears directly while Redis is away, and says so', async () => {
    await redis.stop()
    const { text, unqueued } = await listen()
    expect(text).toBe('directly')
    expect(unqueued).toMatchObject({ code: 'dependency_unavailable' })
  })

  test('hears directly when Redis goes away in the middle', async () => {
    const stuck = await startStub(() => {})
    onTestFinished(() => stuck.close())
    jobs.work([stuck.url])
    const heard = listen()
    await until(() => stuck.asked.length === 1, AbortSignal.timeout(LIMIT_MS))
    await redis.stop()
    expect(await heard).toMatchObject({ text: 'directly', unqueued: { code: 'dependency_unavailable' } })
  })

  test('hears directly when Redis was emptied, instead of waiting for ever', async () => {
    const stuck = await startStub(() => {})
    onTestFinished(() => stuck.close())
    jobs.work([stuck.url])
    const heard = listen()
    await until(() => stuck.asked.length === 1, AbortSignal.timeout(LIMIT_MS))
    await withClient(redis.url, (client) => client.flushall())
    expect(await heard).toMatchObject({ text: 'directly', unqueued: { code: 'job_not_found' } })
  })

  test('a file that is broken is told, and not heard again directly', async () => {
    jobs.work([ear.url])
    const stt = createQueuedStt({ queue: jobs.queue, direct, limitMs: LIMIT_MS })
    const heard = stt.transcribe(wavSaying('broken'), AbortSignal.timeout(LIMIT_MS))
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
