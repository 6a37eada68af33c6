/**
 * What is to be remembered, as jobs in Redis: they outlive this process, and wait there for as long as the store or the embedding model is away.
 * A job's id is made of what it holds, so that the same words of the same turn are one job.
 */
import { createHash } from 'node:crypto'
import type { Log } from '@hearth/shared/telemetry'
import { Queue, QueueEvents, UnrecoverableError, Worker } from 'bullmq'
import * as z from 'zod'
import { isRefusal } from '../stages/memory-backlog.ts'
import type { Statements } from '../stages/memory-backlog.ts'
import type { RememberQueue } from '../stages/memory.ts'
import { askRedis, connectRedis, limitedWarning } from '../redis.ts'

export type RememberJobsOptions = {
  readonly redisUrl: string
  /** Keeps what a job holds; what it throws is tried again, unless the words are at fault. */
  readonly keep: (said: readonly Statements[], signal: AbortSignal) => Promise<void>
  readonly log: Log
  readonly name?: string
  readonly retryMs?: number
}

export type RememberJobs = RememberQueue & { close(): Promise<void> }

const QUEUE_NAME = 'hearth-memory'
const RETRY_MS = 5000
/** A month of attempts: a store may be away for long. */
const ATTEMPTS = 500_000
/** A worker that dies is replaced after at most the sum of the first two. */
const LOCK = { lockDuration: 15_000, stalledInterval: 5000, maxStalledCount: 100 }
const KEEP_FAILED = { age: 86_400, count: 1000 }
const CLOSE_MS = 2000
/** Who asks for what was just said waits for a job no longer: its end may have been told while Redis was away. */
const WAIT_MS = 5000

const Data = z.object({
  statements: z.array(z.string()),
  user: z.string(),
  session: z.string(),
  turn: z.string().nullable(),
  saidAt: z.number(),
})

/** Starts to work as soon as Redis is there. */
export function startRememberJobs(options: RememberJobsOptions): RememberJobs {
  const { redisUrl, keep, log, name = QUEUE_NAME, retryMs = RETRY_MS } = options
  const closing = new AbortController()
  const connections = {
    queue: connectRedis(redisUrl, 'producer', log),
    worker: connectRedis(redisUrl, 'worker', log),
    events: connectRedis(redisUrl, 'worker', log),
  }
  const queue = new Queue<Statements>(name, { connection: connections.queue })
  const events = new QueueEvents(name, { connection: connections.events })
  const worker = new Worker<Statements>(name, async ({ data }) => work(data), {
    connection: connections.worker,
    concurrency: 1,
    ...LOCK,
  })
  const warn = limitedWarning(log, 'the memory jobs failed')
  queue.on('error', warn)
  events.on('error', warn)
  worker.on('error', warn)
  /** Jobs that were added here and have not ended: whose they are, and who waits. */
  const waiting = new Map<string, { user: string; ended: PromiseWithResolvers<void>; timer: NodeJS.Timeout }>()
  const end = (id: string): void => {
    clearTimeout(waiting.get(id)?.timer)
    waiting.get(id)?.ended.resolve()
    waiting.delete(id)
  }
  events.on('completed', ({ jobId }) => end(jobId))
  events.on('failed', ({ jobId }) => end(jobId))
  // One that is to be tried again later is not waited for.
  events.on('delayed', ({ jobId }) => end(jobId))

  async function work(data: Statements): Promise<void> {
    try {
      await keep([Data.parse(data)], closing.signal)
    } catch (error) {
      if (isRefusal(error) || error instanceof z.ZodError) throw new UnrecoverableError('the words are refused')
      throw error
    }
  }

  return {
    async add(said) {
      const jobId = idOf(said)
      const timer = setTimeout(() => end(jobId), WAIT_MS).unref()
      end(jobId)
      waiting.set(jobId, { user: said.user, ended: Promise.withResolvers<void>(), timer })
      const kept = { removeOnComplete: true, removeOnFail: KEEP_FAILED }
      const job = { jobId, attempts: ATTEMPTS, backoff: { type: 'fixed', delay: retryMs }, ...kept }
      try {
        await askRedis(connections.queue, closing.signal, () => queue.add('remember', said, job))
        return true
      } catch (err) {
        end(jobId)
        log.warn({ err }, 'what was said is kept in this process: redis is away')
        return false
      }
    },

    async settled(user) {
      const own = [...waiting.values()].filter((one) => one.user === user)
      await Promise.all(own.map(({ ended }) => ended.promise))
    },

    async close() {
      closing.abort(new Error('the service is shutting down'))
      for (const id of waiting.keys()) end(id)
      const ends = Promise.allSettled([worker.close(), events.close(), queue.close()])
      await Promise.race([ends, new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())])
      for (const connection of Object.values(connections)) connection.disconnect()
    },
  }
}

const ID_CHARS = 32

/** BullMQ takes no colons, and no ids that are numbers. */
const idOf = ({ statements, user, session, turn, saidAt }: Statements): string =>
  `m-${createHash('sha256')
    .update(JSON.stringify([user, session, turn, saidAt, statements]))
    .digest('hex')
    .slice(0, ID_CHARS)}`
