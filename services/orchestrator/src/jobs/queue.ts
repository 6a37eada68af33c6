/**
 * The producer's side of the job queue: submits, looks up and waits. The form goes to the spool first and the job to Redis second,
 * so that a job a worker sees always has its audio; nothing a caller waits for takes more than a second but the work itself.
 */
import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { HearingProgress } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { FlowProducer, Queue } from 'bullmq'
import { askRedis, connectRedis, limitedWarning } from '../redis.ts'
import { countedRoom } from './counted-room.ts'
import { watchEnds } from './ends.ts'
import type { Ended } from './ends.ts'
import { outcomeOf, QUEUE_NAME } from './job.ts'
import type { JobData, JobPath, JobPriority, JobReport, Outcome, TranscriptionJob } from './job.ts'
import { contentOf, loadReply } from './reply.ts'
import type { Reply, StoredReply } from './reply.ts'
import { requireRoom } from './room.ts'
import type { Spool } from './spool.ts'
import { WEBHOOK_JOB, WEBHOOK_QUEUE } from './webhook-job.ts'
import type { WebhookData } from './webhook-job.ts'

export type JobQueueOptions = {
  readonly redisUrl: string
  readonly spool: Spool
  /** Where long answers lie. */
  readonly results: Spool
  /** Jobs that wait or run; more are refused. */
  readonly maxDepth: number
  /** How long a result is kept. */
  readonly keepSeconds: number
  readonly log: Log
}

export type Submission = {
  readonly path: JobPath
  /** A form, as the stt service is to get it. */
  readonly form: Uint8Array
  /** With the form's `content-type`. */
  readonly headers: Readonly<Record<string, string>>
  readonly priority: JobPriority
  /** The same key of the same owner means the same job; `digest` tells whether it is the same request. */
  readonly idempotency?: { readonly owner: string; readonly key: string; readonly digest: string } | undefined
  /** Told when the job has ended. */
  readonly webhookUrl?: string | undefined
}

const KEPT = { completed: 1000, failed: 5000, failedSeconds: 86_400 }
const ATTEMPTS = 3
const BACKOFF = { type: 'exponential', delay: 500, jitter: 0.5 }
/** Of the job in Redis. */
const MAX_JOB_BYTES = 4096
/** BullMQ takes from the list without priorities first. */
const PRIORITY = { interactive: {}, bulk: { priority: 10 } } as const
const FORGET_MS = 500
const CLOSE_MS = 1000
const WAITING = ['waiting', 'prioritized', 'delayed'] as const

export type JobQueue = ReturnType<typeof openJobQueue>

/** Connects in the background. All throw `dependency_unavailable` while Redis is away. */
export function openJobQueue(options: JobQueueOptions) {
  const { redisUrl, spool, results, maxDepth, keepSeconds, log } = options
  const connection = connectRedis(redisUrl, 'producer', log)
  const defaultJobOptions = {
    attempts: ATTEMPTS,
    backoff: BACKOFF,
    sizeLimit: MAX_JOB_BYTES,
    stackTraceLimit: 0,
    removeOnComplete: { age: keepSeconds, count: KEPT.completed },
    removeOnFail: { age: KEPT.failedSeconds, count: KEPT.failed },
  }
  const queue = new Queue<JobData, StoredReply>(QUEUE_NAME, { connection, defaultJobOptions })
  const flows = new FlowProducer({ connection })
  const onError = limitedWarning(log, 'the job queue failed')
  queue.on('error', onError)
  flows.on('error', onError)
  const ends = watchEnds(redisUrl, log)

  const ask = <T>(signal: AbortSignal, work: () => Promise<T>) => askRedis(connection, signal, work)
  const find = (id: string): Promise<TranscriptionJob | undefined> => queue.getJob(id)
  const takePlace = countedRoom(async () => {
    const [depth, memory] = await Promise.all([
      queue.getJobCountByTypes(...WAITING, 'active'),
      connection.info('memory'),
    ])
    requireRoom(depth, maxDepth, memory)
    return maxDepth - depth
  })

  /** The job is there when this resolves. Throws `overloaded`, `storage_full`, `idempotency_conflict`. */
  async function submit(submission: Submission, signal: AbortSignal): Promise<JobReport> {
    const id = idOf(submission)
    await enter(id, submission, signal)
    return submission.idempotency ? look(id, signal) : { id, status: 'queued', progress: 0 }
  }

  /**
   * The stt service's answer to a submission, also when it is a refusal. Unless it has a key of its own, nothing of it is kept after this.
   * Throws as `submit` does, and `job_lost`, `job_poisoned`, `stage_failed`. `signal` takes the job out, also
   * one that is being heard, unless it has a key: whoever comes again with it gets its answer.
   */
  async function hear(submission: Submission, signal: AbortSignal): Promise<Reply> {
    const id = idOf(submission)
    // Before there is a job: the end of a new one can't be missed, so there is no need to look first.
    const listening = ends.listen(id)
    let ref: string | null = null
    let ended: Ended = {}
    try {
      ref = await enter(id, submission, signal)
      ended = await listening.end((limit) => outcome(id, limit), signal, ref !== null)
      const { reply, error } = ended
      if (reply) return await loadReply(reply, results)
      throw error ?? new AppError('internal_error', `the job ${id} ended without an end: this is a bug`)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'job_not_found') throw error
      if (ref !== null) await spool.delete(ref)
      throw new AppError('job_lost', 'the job was lost on its way: its queue was emptied', { cause: error })
    } finally {
      listening.stop()
      if (!submission.idempotency) void (ended.reply ? drop(id, ended.reply) : forget(id))
    }
  }

  /** Gives where the form lies; null when the job was there already. */
  async function enter(id: string, submission: Submission, signal: AbortSignal): Promise<string | null> {
    const { idempotency } = submission
    if (!idempotency) return add(id, submission, signal)
    const known = await ask(signal, () => find(id))
    if (known) return requireSame(known, idempotency.digest)
    const ref = await add(id, submission, signal)
    // Of two requests with one key at the same time, one made the job.
    const job = await ask(signal, () => find(id))
    if (!job || job.data.ref === ref) return ref
    await spool.delete(ref)
    return requireSame(job, idempotency.digest)
  }

  async function add(id: string, submission: Submission, signal: AbortSignal): Promise<string> {
    await ask(signal, takePlace)
    const { path, headers, priority, idempotency, webhookUrl } = submission
    const ref = await spool.put(submission.form, signal)
    const digest = idempotency?.digest ?? ''
    const data: JobData = { v: 2, path, ref, headers: { ...headers }, priority, digest, avoid: [] }
    const opts = { jobId: id, ...PRIORITY[priority] }
    try {
      await ask<unknown>(signal, () =>
        webhookUrl === undefined ? queue.add('transcription', data, opts) : addWithWebhook(data, opts, webhookUrl),
      )
      return ref
    } catch (error) {
      // Without an answer the job may be there all the same, and under a key it is found again: then it needs its audio.
      if (!idempotency) await spool.delete(ref)
      throw error
    }
  }

  /** Both or none: the webhook's job waits for this one, whatever becomes of the processes in between. */
  async function addWithWebhook(data: JobData, opts: { jobId: string; priority?: number }, url: string) {
    const child = {
      name: 'transcription',
      queueName: QUEUE_NAME,
      data,
      opts: { ...defaultJobOptions, ...opts, removeDependencyOnFailure: true },
    }
    const webhook = { v: 1, url } satisfies WebhookData
    return flows.add({
      name: 'webhook',
      queueName: WEBHOOK_QUEUE,
      data: webhook,
      opts: { ...WEBHOOK_JOB, jobId: opts.jobId },
      children: [child],
    })
  }

  /** Throws `job_not_found`. */
  const outcome = (id: string, signal: AbortSignal): Promise<Outcome> =>
    ask(signal, async () => {
      // The state first: a job that ends in between is then told as running, not as completed without a result.
      const state = await queue.getJobState(id)
      const job = await find(id)
      if (!job) throw notFound()
      return outcomeOf(job, state)
    })

  /** Throws `job_not_found`. */
  async function look(id: string, signal: AbortSignal): Promise<JobReport> {
    const found = await outcome(id, signal)
    if (found.status === 'failed') return { id, status: 'failed', progress: 1, error: found.error }
    if (found.status === 'queued') return { id, status: 'queued', progress: 0 }
    if (found.status === 'running') return { id, status: 'running', ...progressOf(found.heard) }
    return { id, status: 'completed', progress: 1, result: contentOf(await loadReply(found.reply, results)) }
  }

  /** Takes a job out that has ended, and its result; its worker has deleted the form. */
  async function drop(id: string, { body }: StoredReply): Promise<void> {
    const removed = ask(AbortSignal.timeout(FORGET_MS), () => queue.remove(id)).catch(() => {})
    await Promise.all([removed, 'ref' in body && results.delete(body.ref).catch(() => {})])
  }

  /** Takes a job out that nobody waits for any more. */
  const forget = (id: string): Promise<unknown> =>
    ask(AbortSignal.timeout(FORGET_MS), () => takeOut(id)).catch(() => {})

  /** There is no such job from now on, nor its result; one that is being heard is given up. Throws `job_not_found`. */
  const cancel = (id: string, signal: AbortSignal): Promise<void> =>
    ask(signal, async () => {
      if (!(await takeOut(id))) throw notFound()
    })

  /** False when there is none. Its worker hears of it at once by an event, at the latest when it can't renew the job's lock. */
  async function takeOut(id: string): Promise<boolean> {
    const job = await find(id)
    if (!job) return false
    await connection.del(queue.toKey(`${id}:lock`))
    await job.remove()
    await spool.delete(job.data.ref)
    // As it stands in Redis: null, or an empty text, until there is one.
    const stored: Partial<StoredReply> | null | '' = job.returnvalue
    if (stored && stored.body && 'ref' in stored.body) await results.delete(stored.body.ref)
    return true
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
    const closed = Promise.allSettled([ends.close(), queue.close(), flows.close()])
    await Promise.race([closed, delay(CLOSE_MS, undefined, { ref: false })])
    connection.disconnect()
  }

  const isReady = () => connection.status === 'ready'
  return { bull: queue, isReady, submit, hear, look, cancel, onRemoved: ends.onRemoved, figures, close }
}

const notFound = (): AppError =>
  new AppError('job_not_found', 'no such job: it never was, was cancelled, or its result was kept long enough')

const progressOf = (heard?: HearingProgress) => ({
  ...heard,
  progress: heard ? Math.min(1, heard.seconds / heard.total_seconds) : 0,
})

function requireSame({ data }: TranscriptionJob, digest: string): null {
  if (data.digest === digest) return null
  throw new AppError('idempotency_conflict', 'this Idempotency-Key was used with another file or other options')
}

/** BullMQ takes no colons and no bare numbers; a hash has neither, and hides the caller's key. */
const idOf = ({ idempotency: keyed }: Submission): string =>
  keyed ? `i-${createHash('sha256').update(`${keyed.owner}\0${keyed.key}`).digest('hex')}` : randomUUID()
