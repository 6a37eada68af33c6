/**
 * What the job queue costs and what it promises, on a Redis of its own and with a fake stt replica in another process: the hop of one
 * transcription against asking the replica directly, jobs a second against plain BullMQ, and a thousand jobs whose workers are killed.
 *
 *   npm run bench -- queue [--part hop|rate|kill] [--rounds 400]
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createLogger } from '@hearth/shared/telemetry'
import { Queue, QueueEvents, Worker } from 'bullmq'
import { Transcription } from '@hearth/shared/api'
import { createQueuedStt } from '../services/orchestrator/src/jobs/queued-stt.ts'
import { createSttClient } from '../services/orchestrator/src/stages/stt.ts'
import { openJobs, submissionSaying, wavSaying } from '../services/orchestrator/src/testing/job-setup.ts'
import type { JobSetup } from '../services/orchestrator/src/testing/job-setup.ts'
import { startRedis } from '../services/orchestrator/src/testing/redis-server.ts'
import { quantile, round, show } from './figures.ts'
import { spawnNode, startFakes } from './processes.ts'

const { values } = parseArgs({
  options: { part: { type: 'string' }, rounds: { type: 'string', default: '400' } },
})
const WORKER = join(import.meta.dirname, '../services/orchestrator/src/testing/job-worker-process.ts')
const LIMIT_MS = 600_000
const WARM_UP = 100
const RATE_JOBS = 5000
const REPLICAS = 4
const ADDERS = 16
const KILL = { jobs: 1000, workers: 3, everyMs: 3000, earMs: 100 }
const log = createLogger({ service: 'bench', level: 'error' })
const inTime = () => AbortSignal.timeout(LIMIT_MS)

type Setup = JobSetup & { readonly redisPort: number; readonly redisUrl: string; readonly url: string }

/** A Redis, spools, a queue and a fake replica. */
async function withQueue<T>(earMs: number, work: (setup: Setup) => Promise<T>): Promise<T> {
  const [redis, fakes] = await Promise.all([startRedis(), startFakes({ earMs })])
  const setup = await openJobs(redis.url, { maxDepth: 100_000, keepSeconds: 3600, log })
  try {
    while (!setup.queue.isReady()) await pause(10)
    return await work({ ...setup, redisPort: redis.port, redisUrl: redis.url, url: fakes.url })
  } finally {
    await setup.close()
    fakes.stop()
    await redis.stop()
  }
}

/** Interleaved, so that whatever else the machine does meets both alike. */
async function hop(): Promise<void> {
  await withQueue(20, async ({ queue, work, url }) => {
    work([url])
    const direct = createSttClient({ stage: 'stt', url, limitMs: LIMIT_MS })
    const queued = createQueuedStt({ queue, direct, limitMs: LIMIT_MS })
    const wav = wavSaying('hello')
    const timed = async (stt: typeof direct) => {
      const start = performance.now()
      const { unqueued } = await stt.transcribe(wav, inTime())
      if (unqueued) throw unqueued
      return performance.now() - start
    }
    const times: { direct: number; queued: number }[] = []
    for (let count = -WARM_UP; count < Number(values.rounds); count++) {
      const both = { direct: await timed(direct), queued: await timed(queued) }
      if (count >= 0) times.push(both)
    }
    const at = (of: (each: (typeof times)[number]) => number, q: number) => round(quantile(times.map(of), q))
    const row = (what: string, of: (each: (typeof times)[number]) => number) => ({
      what,
      'p10 ms': at(of, 0.1),
      'p50 ms': at(of, 0.5),
      'p95 ms': at(of, 0.95),
    })
    await show('queue-hop', [
      row('direct', (each) => each.direct),
      row('through the queue', (each) => each.queued),
      row('difference of a pair', (each) => each.queued - each.direct),
    ])
  })
}

async function rate(): Promise<void> {
  await withQueue(0, async ({ queue, work, redisPort, url }) => {
    const urls = Array.from({ length: REPLICAS }, (_, index) => `${url}/${index}`)
    const job = await submissionSaying('hello', { priority: 'interactive' })
    const added = await addAll(RATE_JOBS, () => queue.submit(job, inTime()))
    const done = Promise.withResolvers<void>()
    let ended = 0
    const start = performance.now()
    const onTimes = () => void (++ended === RATE_JOBS && done.resolve())
    const worker = work(urls, { onTimes, limitMs: LIMIT_MS, maxAgeMs: LIMIT_MS })
    await done.promise
    const own = rateRow('this queue, spool and HTTP to a replica', added, performance.now() - start)
    const { concurrency } = worker
    await worker.close()
    await show('queue-rate', [own, await plainRate(redisPort, concurrency)])
  })
}

/** BullMQ alone: small jobs whose work is nothing. */
async function plainRate(port: number, concurrency: number) {
  const connection = { host: '127.0.0.1', port }
  const plain = new Queue('plain', { connection })
  const addMs = await addAll(RATE_JOBS, (index) => plain.add('nothing', { index }))
  const done = Promise.withResolvers<void>()
  let ended = 0
  const start = performance.now()
  const worker = new Worker('plain', async () => ++ended === RATE_JOBS && done.resolve(), { connection, concurrency })
  await done.promise
  const row = rateRow('plain BullMQ, no work', addMs, performance.now() - start)
  await worker.close()
  await plain.close()
  return row
}

const rateRow = (what: string, addMs: number, workMs: number) => ({
  what,
  jobs: RATE_JOBS,
  'added/s': round((RATE_JOBS / addMs) * 1000, 0),
  'done/s': round((RATE_JOBS / workMs) * 1000, 0),
})

/** Milliseconds for all, a few at a time. */
async function addAll(count: number, add: (index: number) => Promise<unknown>): Promise<number> {
  const start = performance.now()
  let next = 0
  const addSome = async () => {
    while (next < count) await add(next++)
  }
  await Promise.all(Array.from({ length: ADDERS }, addSome))
  return performance.now() - start
}

/** Every job says who it is, its result has to say the same, and the queue's own log of events tells how often it ended. */
async function kill(): Promise<void> {
  await withQueue(KILL.earMs, async ({ queue, redisUrl, redisPort, folder, url }) => {
    const start = (index: number) => spawnNode([WORKER, redisUrl, folder, `${url}/${index}`])
    const workers = Array.from({ length: KILL.workers }, (_, index) => start(index))
    const events = new QueueEvents(queue.bull.name, { connection: { host: '127.0.0.1', port: redisPort } })
    await events.waitUntilReady()
    const times = new Map<string, number>()
    const onEnd = ({ jobId }: { jobId: string }) => void times.set(jobId, (times.get(jobId) ?? 0) + 1)
    events.on('completed', onEnd)
    events.on('failed', onEnd)
    const killing = new AbortController()
    let kills = 0
    const killer = async () => {
      for (;;) {
        await pause(KILL.everyMs, undefined, { signal: killing.signal })
        const index = kills++ % KILL.workers
        workers[index]?.kill('SIGKILL')
        workers[index] = start(index)
      }
    }
    const killed = killer().catch(() => {})
    const names = new Map<string, string>()
    await addAll(KILL.jobs, async (index) => {
      const name = `job ${index}`
      const { id } = await queue.submit(await submissionSaying(name), inTime())
      names.set(id, name)
    })
    const limit = inTime()
    while (times.size < KILL.jobs) await pause(100, undefined, { signal: limit })
    killing.abort()
    await killed
    await pause(1000)
    await events.close()
    const reports = []
    for (const id of names.keys()) reports.push(await queue.look(id, inTime()).catch(() => null))
    const jobs = await Promise.all([...names.keys()].map((id) => queue.bull.getJob(id)))
    const tookMs = jobs.map((job) => (job?.finishedOn ?? Number.NaN) - (job?.timestamp ?? 0))
    for (const worker of workers) worker.kill('SIGKILL')
    await show('queue-kill', [
      {
        jobs: names.size,
        kills,
        lost: reports.filter((report) => report === null).length,
        'ended twice': [...times.values()].filter((count) => count > 1).length,
        'completed, with its own words': reports.filter(
          (each) => Transcription.safeParse(each?.result).data?.text === names.get(each?.id ?? ''),
        ).length,
        failed: reports.filter((each) => each?.status === 'failed').length,
        'median s': round(quantile(tookMs, 0.5) / 1000),
        'longest s': round(Math.max(...tookMs) / 1000),
      },
    ])
  })
}

const PARTS = { hop, rate, kill }
for (const [name, part] of Object.entries(PARTS)) if ((values.part ?? name) === name) await part()
