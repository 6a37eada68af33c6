/**
 * The consumer's side of the job queue: takes waiting jobs and has the stt replicas hear them, each as one request; a replica's own
 * batcher makes one batch of what it is given together. The worker itself only waits, so its locks are always renewed in time.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Transcription } from '@hearth/shared/api'
import { AppError, toAppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { DelayedError, UnrecoverableError, Worker } from 'bullmq'
import { callService } from '../stages/service.ts'
import { connectRedis, limitedWarning } from './connection.ts'
import { JobData, QUEUE_NAME, writeFailure } from './job.ts'
import type { JobPriority, TranscriptionJob } from './job.ts'
import { BATCH_SIZE, findReplicas, Replicas } from './replicas.ts'
import type { Spool } from './spool.ts'

export type JobWorkerOptions = {
  readonly redisUrl: string
  readonly spool: Spool
  /** Base addresses of the stt replicas; one address stands for all that its name has. */
  readonly sttUrls: readonly string[]
  /** For one file. */
  readonly limitMs: number
  /** How long the first job of a batch waits for others. */
  readonly windowMs: number
  /** A job that waited longer than this fails: its audio is about to be swept. */
  readonly maxAgeMs: number
  readonly onTimes?: (times: { priority: JobPriority; waitMs: number; runMs: number }) => void
  readonly log: Log
  readonly name?: string
}

/** A worker that dies is replaced after at most the sum of the first two. */
const LOCK = { lockDuration: 5000, stalledInterval: 2500, maxStalledCount: 3 }
const LOOK_UP_EVERY_MS = 5000
const CLOSE_MS = 5000
/** Before a job that no replica could take is tried again; sooner while there is another replica. */
const AWAY_MS = { others: 50, nobody: 1000 }

export type JobWorker = { readonly concurrency: number; close(): Promise<void> }

/** Starts to work, as soon as Redis is there. */
export function startJobWorker(options: JobWorkerOptions): JobWorker {
  const { redisUrl, spool, sttUrls, windowMs, log, name = QUEUE_NAME } = options
  const replicas = new Replicas(sttUrls, { windowMs })
  const connection = connectRedis(redisUrl, 'worker', log)
  const stop = new AbortController()
  const worker = new Worker<JobData, Transcription>(
    name,
    (job, token, signal) => hear(job, token, AbortSignal.any([stop.signal, ...(signal ? [signal] : [])])),
    { connection, concurrency: sttUrls.length * BATCH_SIZE, ...LOCK },
  )
  worker.on('error', limitedWarning(log, 'the job worker failed'))
  worker.on('lockRenewalFailed', (ids) => ids.forEach((id) => worker.cancelJob(id)))
  worker.on('completed', (job) => discard(job))
  worker.on('failed', (job) => job?.finishedOn !== undefined && discard(job))
  const timer = setInterval(() => void lookUp(), LOOK_UP_EVERY_MS).unref()
  void lookUp()

  function discard({ data, id }: TranscriptionJob): void {
    spool.delete(data.ref).catch((error: unknown) => log.warn({ err: error, job: id }, 'audio was left for the sweep'))
  }

  /** Never rejects: a name that is not found stands for itself. */
  async function lookUp(): Promise<void> {
    const found = await Promise.all(sttUrls.map((url) => findReplicas(url)))
    replicas.urls = [...new Set(found.flat())]
    worker.concurrency = replicas.urls.length * BATCH_SIZE
  }

  async function hear(job: TranscriptionJob, token: string | undefined, signal: AbortSignal): Promise<Transcription> {
    const startedAt = Date.now()
    const { ref, options: wanted, priority, avoid } = readData(job.data)
    const audio = await spool.get(ref, signal).catch((error: unknown) => putBack(error, job, token))
    if (startedAt - job.timestamp > options.maxAgeMs || !audio) throw gone(startedAt - job.timestamp)
    const replica = await replicas.take(avoid)
    try {
      const result = await hearAt(replica.url, audio, wanted, options.limitMs, signal)
      options.onTimes?.({ priority, waitMs: startedAt - job.timestamp, runMs: Date.now() - startedAt })
      return result
    } catch (error) {
      throw await afterFailure(error, replica.url, job, token)
    } finally {
      replica.release()
    }
  }

  /** What to throw: an end to the job, or a next attempt elsewhere. One that only has to wait costs no attempt. */
  async function afterFailure(thrown: unknown, url: string, job: TranscriptionJob, token?: string): Promise<Error> {
    const error = toAppError(thrown)
    log.warn({ job: job.id, code: error.code, replica: url, err: error }, 'a replica failed a job')
    if (error.status < 500 && !error.retryable) return new UnrecoverableError(writeFailure(error))
    replicas.failed(url)
    const tried = [...new Set([...readData(job.data).avoid, url])]
    const hasOthers = replicas.hasOtherThan(tried)
    await job.updateData({ ...job.data, avoid: hasOthers ? tried : [] })
    if (!error.retryable && !isUnreachable(error)) return new Error(writeFailure(error))
    await job.moveToDelayed(Date.now() + (hasOthers ? AWAY_MS.others : (error.retryAfterMs ?? AWAY_MS.nobody)), token)
    return new DelayedError()
  }

  /** While its spool is away a job waits, until it is too old. */
  async function putBack(error: unknown, job: TranscriptionJob, token?: string): Promise<never> {
    log.warn({ job: job.id, err: error }, 'the spool did not give the audio')
    if (!toAppError(error).retryable) throw new Error(writeFailure(error))
    const isTooOld = Date.now() - job.timestamp > options.maxAgeMs
    if (isTooOld) throw new UnrecoverableError(writeFailure(error))
    await job.moveToDelayed(Date.now() + AWAY_MS.nobody, token)
    throw new DelayedError()
  }

  async function close(): Promise<void> {
    clearInterval(timer)
    const isAway = connection.status !== 'ready'
    await Promise.race([worker.close(isAway).catch(() => {}), delay(CLOSE_MS, undefined, { ref: false })])
    stop.abort(new AppError('draining', 'this worker stops'))
    connection.disconnect()
  }

  return {
    get concurrency() {
      return worker.concurrency
    },
    close,
  }
}

/** A job of a version that this worker doesn't know is failed, not guessed at. */
function readData(data: unknown): JobData {
  const { data: known, error } = JobData.safeParse(data)
  if (known) return known
  throw new UnrecoverableError(
    writeFailure(new AppError('internal_error', 'expected a job of version 1', { cause: error })),
  )
}

const gone = (ageMs: number): UnrecoverableError =>
  new UnrecoverableError(
    writeFailure(
      new AppError('deadline_exceeded', `stt: the audio is not kept any more, after ${Math.round(ageMs / 1000)} s`),
    ),
  )

type Wanted = JobData['options']

async function hearAt(url: string, audio: Blob, wanted: Wanted, limitMs: number, signal: AbortSignal) {
  const body = new FormData()
  body.append('file', audio, 'speech.wav')
  body.append('response_format', 'json')
  for (const [name, value] of Object.entries(wanted)) if (value !== undefined) body.append(name, value)
  const read = async (response: Response): Promise<Transcription> => Transcription.parse(await response.json())
  const service = { stage: 'stt', url, limitMs }
  const heard = await callService(service, '/v1/audio/transcriptions', { method: 'POST', body }, read, signal)
  return { ...heard, text: heard.text.trim() }
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Nobody was there: the file can't be at fault. */
function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && UNREACHABLE.has(error.code)) return true
  return isUnreachable(error.cause)
}
