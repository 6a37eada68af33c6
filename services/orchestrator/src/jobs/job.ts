/**
 * The words of a job: what stands in Redis, and how it is told to a caller. Neither the audio nor anything else of the caller's form
 * stands there: `ref` says where the form lies, whole, as the stt service is to get it.
 */
import { HearingProgress } from '@hearth/shared/api'
import { AppError, ERROR_CODES, toAppError } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import type { Job } from 'bullmq'
import * as z from 'zod'
import { StoredReply } from './reply.ts'

export const QUEUE_NAME = 'hearth-transcriptions'

/** Waiting jobs of people who talk go first. */
export const JobPriority = z.enum(['interactive', 'bulk'])
export type JobPriority = z.infer<typeof JobPriority>

/** Where at the stt service a job's form goes. */
export const JobPath = z.enum(['/v1/audio/transcriptions', '/v1/audio/translations'])
export type JobPath = z.infer<typeof JobPath>

const JOB_VERSION = 2

export const JobData = z.object({
  v: z.literal(JOB_VERSION),
  path: JobPath,
  ref: z.string(),
  /** Of the request to the stt service; `content-type` tells the form's boundary. */
  headers: z.record(z.string(), z.string()),
  priority: JobPriority,
  /** Of everything asked: tells whether a second request with the same key is the same request. */
  digest: z.string(),
  /** Replicas that failed it: the next attempt goes to another one. */
  avoid: z.array(z.string()).default([]),
})
export type JobData = z.infer<typeof JobData>

export type TranscriptionJob = Job<JobData, StoredReply>

/** A job of a version that this worker doesn't know is failed, not guessed at. Throws `unsupported_job_version`. */
export function readJobData(data: unknown): JobData {
  const { data: known, error } = JobData.safeParse(data)
  if (known) return known
  const message = `expected a job of version ${JOB_VERSION}, got one that another release of Hearth made`
  throw new AppError('unsupported_job_version', message, { cause: error })
}

const Failure = z.object({
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
  /** What the stt service said, for whoever asked for just that. */
  reply: StoredReply.optional(),
})

/** BullMQ keeps one line of text of an error. */
export function writeFailure(thrown: unknown, reply?: StoredReply): string {
  const { code, message, param } = toAppError(thrown)
  return JSON.stringify({ code, message, param, ...(reply && { reply }) } satisfies z.infer<typeof Failure>)
}

/** What `writeFailure` wrote, or BullMQ itself. */
function readFailure(reason: string): { error: AppError; reply?: StoredReply | undefined } {
  const failure = Failure.safeParse(parseJson(reason)).data
  const details = { stage: 'stt' }
  if (!failure) return { error: failedByBullMq(reason) }
  const { code, message, param, reply } = failure
  if (!isKnown(code)) return { error: new AppError('stage_failed', `stt: ${message}`, { details }), reply }
  return { error: new AppError(code, message, { details, ...(param !== null && { param }) }), reply }
}

function failedByBullMq(reason: string): AppError {
  const details = { stage: 'stt' }
  if (reason.startsWith('job stalled more than'))
    return new AppError('job_poisoned', 'this job stopped its worker too often, and is not tried again', { details })
  return new AppError('stage_failed', 'stt: the job ended without a result', { details, cause: reason })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const isKnown = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code)

export type Outcome =
  | { readonly status: 'queued' }
  | { readonly status: 'running'; readonly heard?: HearingProgress | undefined }
  | { readonly status: 'completed'; readonly reply: StoredReply }
  | { readonly status: 'failed'; readonly error: AppError; readonly reply?: StoredReply | undefined }

/** What BullMQ's states are to a caller; a job between two attempts is queued. */
export function outcomeOf(job: TranscriptionJob, state: string): Outcome {
  if (state === 'completed') return { status: 'completed', reply: StoredReply.parse(job.returnvalue) }
  if (state === 'failed') return { status: 'failed', ...readFailure(job.failedReason ?? '') }
  if (state !== 'active') return { status: 'queued' }
  return { status: 'running', heard: HearingProgress.safeParse(job.progress).data }
}

/** `GET /jobs/:id`, but for the words of an error. */
export type JobReport = {
  readonly id: string
  readonly status: Outcome['status']
  /** From 0 to 1. */
  readonly progress: number
  /** Of the recording, while it is heard and once that takes more than a moment. */
  readonly seconds?: number
  readonly total_seconds?: number
  /** The stt service's answer: what its JSON means, or its text. */
  readonly result?: unknown
  readonly error?: AppError
}
