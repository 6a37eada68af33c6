/**
 * The consumer's side of the job queue: takes waiting jobs and has the stt replicas hear them, each as one request; a replica's own
 * batcher makes one batch of what it is given together. The worker itself only waits, so its locks are always renewed in time.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { PROGRESS_ID_HEADER } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { DelayedError, UnrecoverableError, Worker } from 'bullmq'
import { askReplica } from './ask-replica.ts'
import type { Answer } from './ask-replica.ts'
import { connectRedis, limitedWarning } from '../redis.ts'
import { withProgress } from './follow-progress.ts'
import { QUEUE_NAME, readJobData, writeFailure } from './job.ts'
import type { JobData, JobPriority, TranscriptionJob } from './job.ts'
import { watchReplicas } from './replica-watch.ts'
import { BATCH_SIZE, Replicas } from './replicas.ts'
import { storeReply } from './reply.ts'
import type { Reply, StoredReply } from './reply.ts'
import type { Spool } from './spool.ts'

export type JobWorkerOptions = {
  readonly redisUrl: string
  readonly spool: Spool
  /** Where long answers go. */
  readonly results: Spool
  /** Base addresses of the stt replicas; one address stands for all that its name has. */
  readonly sttUrls: readonly string[]
  readonly findReplicas?: (base: string) => Promise<string[]>
  /** Between two looks at which replicas there are. */
  readonly lookEveryMs?: number
  /** For one file. */
  readonly limitMs: number
  /** How long the first job of a batch waits for others. */
  readonly windowMs: number
  /** A job that waited longer than this fails: its audio is about to be swept. */
  readonly maxAgeMs: number
  readonly onTimes?: (times: { priority: JobPriority; waitMs: number; runMs: number }) => void
  /** Between two looks at how far a job is. */
  readonly progressEveryMs?: number
  /** How many jobs went to one replica together. */
  readonly onBatch?: (size: number) => void
  /** At its end, for the jobs that run; then they go back to the queue. */
  readonly closeMs?: number
  readonly lock?: { readonly lockDuration: number; readonly stalledInterval: number }
  readonly log: Log
}

/** A worker that dies is replaced after at most the sum of both. */
const LOCK = { lockDuration: 5000, stalledInterval: 2000 }
/** Seconds. Redis may wake a worker that is frozen, and no other: so they also look by themselves. */
const LOOK_EVERY_S = 1
const MAX_STALLED = 3
/** Below what serve.ts gives each part. */
const CLOSE_MS = 8000
const GO_BACK_MS = 1000
/** Before a job that no replica could take is tried again; sooner while there is another replica. */
const AWAY_MS = { others: 50, nobody: 250 }
/** A Redis that takes no writes fails every attempt to get a job, thousands of times a second. */
const FULL_MS = 1000

export type JobWorker = {
  readonly concurrency: number
  /** Gives up a job that was taken out of the queue; another worker's is passed over. */
  readonly cancel: (id: string) => void
  close(): Promise<void>
}

/** Starts to work, as soon as Redis and a replica are there. */
export function startJobWorker(options: JobWorkerOptions): JobWorker {
  const {
    redisUrl,
    spool,
    results,
    sttUrls,
    findReplicas: find,
    lookEveryMs: everyMs,
    windowMs,
    onBatch,
    lock = LOCK,
    log,
  } = options
  const replicas = new Replicas({ windowMs, onBatch })
  const connection = connectRedis(redisUrl, 'worker', log)
  const stop = new AbortController()
  const worker = new Worker<JobData, StoredReply>(
    QUEUE_NAME,
    (job, token, signal) => hear(job, token, AbortSignal.any([stop.signal, ...(signal ? [signal] : [])])),
    {
      connection,
      concurrency: BATCH_SIZE,
      maxStalledCount: MAX_STALLED,
      autorun: false,
      drainDelay: LOOK_EVERY_S,
      ...lock,
    },
  )
  const warn = limitedWarning(log, 'the job worker failed')
  let isResting = false
  worker.on('error', (error) => {
    warn(error)
    if (/^(?:OOM|MISCONF)\b/.test(error.message)) void rest()
  })
  worker.on('lockRenewalFailed', (ids) => ids.forEach((id) => worker.cancelJob(id)))
  worker.on('completed', (job) => discard(job))
  worker.on('failed', (job) => job?.finishedOn !== undefined && discard(job))
  void worker.pause(true)
  const watch = watchReplicas({ urls: sttUrls, onChange: follow, find, everyMs })

  function discard({ data, id }: TranscriptionJob): void {
    spool.delete(data.ref).catch((error: unknown) => log.warn({ err: error, job: id }, 'audio was left for the sweep'))
  }

  /** As many jobs at the same time as the ready replicas' batches have places; while there is none, jobs are left in the queue. */
  function follow(ready: readonly string[]): void {
    replicas.ready = ready
    const before = worker.concurrency
    worker.concurrency = Math.max(1, ready.length) * BATCH_SIZE
    void workOrPause(worker.concurrency > before)
  }

  /** `isMore`: a worker with all its places taken would look up only when one of its jobs ends. */
  async function workOrPause(isMore = false): Promise<void> {
    const isToWork = replicas.ready.length > 0 && !isResting && !stop.signal.aborted
    if (!worker.isPaused() && (isMore || !isToWork)) await worker.pause(true)
    if (worker.isPaused() && isToWork) await worker.resume()
  }

  async function rest(): Promise<void> {
    if (isResting) return
    isResting = true
    await workOrPause()
    await delay(FULL_MS, undefined, { ref: false })
    isResting = false
    await workOrPause()
  }

  async function hear(job: TranscriptionJob, token: string | undefined, signal: AbortSignal): Promise<StoredReply> {
    try {
      return await hearOnce(job, token, signal)
    } catch (error) {
      // There is no such job any more, and nothing to write of it.
      if (signal.reason === TAKEN_OUT) throw new DelayedError()
      // A line of text is all that stays of an error.
      if (!(error instanceof AppError)) throw error
      throw error.retryable ? new Error(writeFailure(error)) : new UnrecoverableError(writeFailure(error))
    }
  }

  /** Throws an AppError that ends the job, or what BullMQ is to know. */
  async function hearOnce(job: TranscriptionJob, token: string | undefined, signal: AbortSignal): Promise<StoredReply> {
    const startedAt = Date.now()
    const data = readJobData(job.data)
    const waitMs = startedAt - job.timestamp
    if (waitMs > options.maxAgeMs) throw gone(waitMs)
    const replica = await replicas.take(data.avoid).catch(() => putBack(job, AWAY_MS.nobody, token))
    try {
      const form = await spool.get(data.ref, signal).catch(() => {
        signal.throwIfAborted()
        // A spool that is away costs no attempt.
        return putBack(job, AWAY_MS.nobody, token)
      })
      if (!form) throw gone(waitMs)
      const headers = { ...data.headers, [PROGRESS_ID_HEADER]: job.id ?? '' }
      const ask = () => askReplica(replica.url, { path: data.path, headers }, form, options.limitMs, signal)
      const answer = await withProgress(job, replica.url, ask, options.progressEveryMs).catch((reason: unknown) => {
        if (stop.signal.aborted) return putBack(job, 0, token)
        // Its lock could not be renewed: if nobody else has it by now, it is tried again.
        throw new Error(writeFailure(reason))
      })
      if (answer.end !== 'answered') throw await afterFailure(answer, replica.url, data, job, token)
      options.onTimes?.({ priority: data.priority, waitMs, runMs: Date.now() - startedAt })
      return await storeReply(answer.reply, results)
    } finally {
      replica.release()
    }
  }

  /** What to throw: an end to the job, or a next attempt elsewhere. One that only has to wait costs no attempt. */
  async function afterFailure(
    { end, error, reply, isGone }: Exclude<Answer, { end: 'answered' }>,
    url: string,
    data: JobData,
    job: TranscriptionJob,
    token?: string,
  ): Promise<Error> {
    log.warn({ job: job.id, code: error.code, replica: url, err: error }, 'a replica failed a job')
    const reason = writeFailure(error, reply && (await storedRefusal(reply)))
    if (end === 'refused') return new UnrecoverableError(reason)
    replicas.failed(url)
    if (isGone) watch.lost(url)
    const tried = [...new Set([...data.avoid, url])]
    const hasOthers = replicas.hasOtherThan(tried)
    await job.updateData({ ...data, avoid: hasOthers ? tried : [] })
    if (end === 'failed') return new Error(reason)
    return putBack(job, hasOthers ? AWAY_MS.others : (error.retryAfterMs ?? AWAY_MS.nobody), token)
  }

  /** Refusals are short; one that is not is told without the replica's own words. */
  async function storedRefusal(reply: Reply): Promise<StoredReply | undefined> {
    return reply.body.length > MAX_REFUSAL_BYTES ? undefined : storeReply(reply, results)
  }

  async function putBack(job: TranscriptionJob, delayMs: number, token?: string): Promise<never> {
    await job.moveToDelayed(Date.now() + delayMs, token)
    throw new DelayedError()
  }

  async function close(): Promise<void> {
    watch.close()
    const isAway = connection.status !== 'ready'
    // A graceful end asks Redis, and waits for one that stops at the same time.
    const redisGone = new Promise<false>((resolve) => {
      if (isAway) resolve(false)
      connection.once('close', () => resolve(false))
    })
    const closed = worker.close(isAway).catch(() => {})
    const ended = await Promise.race([
      closed.then(() => true),
      redisGone,
      delay(options.closeMs ?? CLOSE_MS, false, { ref: false }),
    ])
    stop.abort(new AppError('draining', 'this worker stops'))
    if (!ended) await Promise.race([closed, delay(GO_BACK_MS, undefined, { ref: false })])
    connection.disconnect()
  }

  return {
    get concurrency() {
      return worker.concurrency
    },
    cancel: (id) => void worker.cancelJob(id, TAKEN_OUT),
    close,
  }
}

const MAX_REFUSAL_BYTES = 4096
const TAKEN_OUT = 'the job was taken out of the queue'

const gone = (ageMs: number): AppError =>
  new AppError('deadline_exceeded', `stt: the audio is not kept any more, after ${Math.round(ageMs / 1000)} s`)
