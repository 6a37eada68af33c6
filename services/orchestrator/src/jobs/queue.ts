/**
 * The producer's side of the job queue: submits, looks up and waits. The audio goes to the spool first and the job to Redis second,
 * so that a job a worker sees always has its audio; nothing a caller waits for takes more than a second but the work itself.
 */
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Transcription } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { Queue, QueueEvents } from 'bullmq'
import { within } from '../stages/limit.ts'
import { askRedis, connectRedis, limitedWarning } from './connection.ts'
import { countedRoom } from './counted-room.ts'
import { QUEUE_NAME, reportOf } from './job.ts'
import type { JobData, JobOptions, JobPriority, JobReport, TranscriptionJob } from './job.ts'
import type { Spool } from './spool.ts'

export type JobQueueOptions = {
  readonly redisUrl: string
  readonly spool: Spool
  /** Jobs that wait or run; more are refused. */
  readonly maxDepth: number
  /** How long a result is kept. */
  readonly keepSeconds: number
  readonly log: Log
  readonly name?: string
}

export type Submission = {
  readonly audio: Uint8Array
  readonly options: JobOptions
  readonly priority: JobPriority
  /** The same key of the same owner means the same job. */
  readonly idempotency?: { readonly owner: string; readonly key: string } | undefined
}

const KEPT = { completed: 1000, failed: 5000, failedSeconds: 86_400 }
const ATTEMPTS = 3
const BACKOFF = { type: 'exponential', delay: 500, jitter: 0.5 }
/** Of the job in Redis. */
const MAX_JOB_BYTES = 4096
const MAX_MEMORY_SHARE = 0.7
/** BullMQ takes from the list without priorities first. */
const PRIORITY = { interactive: {}, bulk: { priority: 10 } } as const
/** An event may be lost with its connection: then this often. */
const LOOK_EVERY_MS = 500
const CLOSE_MS = 1000
const WAITING = ['waiting', 'prioritized', 'delayed'] as const

export type JobQueue = ReturnType<typeof openJobQueue>

/** Connects in the background. All throw `dependency_unavailable` while Redis is away. */
export function openJobQueue(options: JobQueueOptions) {
  const { redisUrl, spool, maxDepth, keepSeconds, log, name = QUEUE_NAME } = options
  const connection = connectRedis(redisUrl, 'producer', log)
  const listener = connectRedis(redisUrl, 'worker', log)
  const queue = new Queue<JobData, Transcription>(name, {
    connection,
    defaultJobOptions: {
      attempts: ATTEMPTS,
      backoff: BACKOFF,
      sizeLimit: MAX_JOB_BYTES,
      stackTraceLimit: 0,
      removeOnComplete: { age: keepSeconds, count: KEPT.completed },
      removeOnFail: { age: KEPT.failedSeconds, count: KEPT.failed },
    },
  })
  const events = new QueueEvents(name, { connection: listener })
  /** Who waits: told the result, or only to look. */
  const ended = new Map<string, (result: unknown) => void>()
  const onError = limitedWarning(log, 'the job queue failed')
  queue.on('error', onError)
  events.on('error', onError)
  events.on('completed', ({ jobId, returnvalue }) => ended.get(jobId)?.(returnvalue))
  events.on('failed', ({ jobId }) => ended.get(jobId)?.(null))

  const ask = <T>(signal: AbortSignal, work: () => Promise<T>) => askRedis(connection, signal, work)
  const takePlace = countedRoom(requireRoom)
  const find = (id: string): Promise<TranscriptionJob | undefined> => queue.getJob(id)

  async function submit(submission: Submission, signal: AbortSignal): Promise<JobReport> {
    const { idempotency } = submission
    const id = idempotency ? keyedId(idempotency) : randomUUID()
    const digest = idempotency ? await digestOf(submission) : ''
    const known = idempotency && (await ask(signal, () => find(id)))
    if (known) return reportKnown(id, known, digest, signal)
    const ref = await add(id, submission, digest, signal)
    if (!idempotency) return { id, status: 'queued', progress: 0 }
    // Of two requests with one key at the same time, one made the job.
    const job = await ask(signal, () => find(id))
    if (job && job.data.ref !== ref) await spool.delete(ref)
    return job ? reportKnown(id, job, digest, signal) : { id, status: 'queued', progress: 0 }
  }

  /** Gives where its audio lies. */
  async function add(id: string, submission: Submission, digest: string, signal: AbortSignal): Promise<string> {
    const { audio, options: wanted, priority, idempotency } = submission
    await ask(signal, takePlace)
    const ref = await spool.put(audio, signal)
    const data: JobData = { v: 1, ref, options: wanted, priority, digest, avoid: [] }
    try {
      await ask(signal, () => queue.add('transcription', data, { jobId: id, ...PRIORITY[priority] }))
      return ref
    } catch (error) {
      // Without an answer the job may be there all the same, and under a key it is found again: then it needs its audio.
      if (!idempotency) await spool.delete(ref)
      throw error
    }
  }

  /** The result of a job that nobody else knows; throws its error. Nothing of it stays, also when `signal` ends the wait. */
  async function hear(submission: Omit<Submission, 'idempotency'>, signal: AbortSignal): Promise<Transcription> {
    const id = randomUUID()
    // Before there is a job: its end can't be missed, so there is no need to look first.
    const end = listen(id)
    let ref: string | undefined
    try {
      ref = await add(id, submission, '', signal)
      return await endOf(id, end, signal)
    } finally {
      ended.delete(id)
      if (ref !== undefined) void drop(id, ref)
    }
  }

  async function reportKnown(
    id: string,
    job: TranscriptionJob,
    digest: string,
    signal: AbortSignal,
  ): Promise<JobReport> {
    if (job.data.digest === digest) return look(id, signal)
    throw new AppError('idempotency_conflict', 'this Idempotency-Key was used with another file or other options')
  }

  /** Gives how many places are left. */
  async function requireRoom(): Promise<number> {
    const counted = queue.getJobCountByTypes(...WAITING, 'active')
    const [depth, memory] = await Promise.all([counted, connection.info('memory')])
    if (depth >= maxDepth)
      throw new AppError('overloaded', `${depth} jobs wait or run, and more are not taken`, { retryAfterMs: 2000 })
    const share = memoryShare(memory)
    if (share > MAX_MEMORY_SHARE)
      throw new AppError('overloaded', `the queue's Redis is ${Math.floor(share * 100)} % full`, { retryAfterMs: 5000 })
    return maxDepth - depth
  }

  /** Throws `job_not_found`. */
  async function look(id: string, signal: AbortSignal): Promise<JobReport> {
    return ask(signal, async () => {
      // The state first: a job that ends in between is then told as running, not as completed without a result.
      const state = await queue.getJobState(id)
      const job = await find(id)
      if (!job) throw new AppError('job_not_found', 'no such job: it never was, or its result was kept long enough')
      return reportOf(id, job, state)
    })
  }

  /** The result of a job that ends; throws its error. `signal` ends the wait, not the job. */
  async function wait(id: string, signal: AbortSignal): Promise<Transcription> {
    const end = listen(id)
    try {
      return (await resultOf(id, signal)) ?? (await endOf(id, end, signal))
    } finally {
      ended.delete(id)
    }
  }

  async function endOf(id: string, first: Promise<unknown>, signal: AbortSignal): Promise<Transcription> {
    let end = first
    for (;;) {
      const told = Transcription.safeParse(await eventOrTime(end, signal)).data
      if (told) return told
      end = listen(id)
      const result = await resultOf(id, signal)
      if (result) return result
    }
  }

  function listen(id: string): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    ended.set(id, resolve)
    return promise
  }

  /** Undefined while it has none; throws the job's error. */
  async function resultOf(id: string, signal: AbortSignal): Promise<Transcription | undefined> {
    const { result, error } = await look(id, signal)
    if (error) throw error
    return result
  }

  /** Takes a job out, and its result; one that runs is left to end. */
  async function drop(id: string, ref: string): Promise<void> {
    const remove = async () => (await queue.remove(id)) === 1 && spool.delete(ref)
    await ask(AbortSignal.timeout(LOOK_EVERY_MS), remove).catch(() => {})
  }

  /** For the metrics: how many wait or run, and since when the oldest waits. */
  async function figures(signal: AbortSignal) {
    return ask(signal, async () => {
      const counts = await queue.getJobCounts(...WAITING, 'active')
      const oldest = await queue.getJobs([...WAITING], 0, 0, true)
      const since = Math.min(...oldest.map(({ timestamp }) => timestamp))
      return { counts, oldestAt: Number.isFinite(since) ? since : null }
    })
  }

  async function close(): Promise<void> {
    const closed = Promise.allSettled([events.close(), queue.close()])
    // It waits for an event that may never come.
    listener.disconnect()
    await Promise.race([closed, delay(CLOSE_MS, undefined, { ref: false })])
    connection.disconnect()
  }

  const isReady = () => connection.status === 'ready'
  return { bull: queue, isReady, submit, hear, look, wait, figures, close }
}

/** Null when there was none in time. */
async function eventOrTime(event: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  return within(LOOK_EVERY_MS, signal, () => event).catch(() => {
    signal.throwIfAborted()
    return null
  })
}

/** Of what Redis may take, 0 when that has no limit. A full Redis can't even give out the jobs it has. */
function memoryShare(info: string): number {
  const bytes = (field: string) => Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const limit = bytes('maxmemory')
  return limit === 0 ? 0 : bytes('used_memory') / limit
}

/** BullMQ takes no colons and no bare numbers; a hash has neither, and hides the caller's key. */
const keyedId = ({ owner, key }: { owner: string; key: string }): string =>
  `i-${createHash('sha256').update(`${owner}\0${key}`).digest('hex')}`

/** In a thread of Node's own: an upload may have many megabytes. */
async function digestOf({ audio, options: { model, language }, priority }: Submission): Promise<string> {
  const hash = Buffer.from(await crypto.subtle.digest('SHA-256', Uint8Array.from(audio))).toString('hex')
  return createHash('sha256')
    .update(JSON.stringify([model, language, priority, hash]))
    .digest('hex')
}
