/** The words of a job: what stands in Redis, and how it is told to a caller. Audio never stands there: `ref` says where it lies. */
import { Transcription } from '@hearth/shared/api'
import { AppError, ERROR_CODES, toAppError } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import type { Job } from 'bullmq'
import * as z from 'zod'

export const QUEUE_NAME = 'hearth-transcriptions'

/** Waiting jobs of people who talk go first. */
export const JobPriority = z.enum(['interactive', 'bulk'])
export type JobPriority = z.infer<typeof JobPriority>

/** Fields of `POST /v1/audio/transcriptions` that a job may have. */
export const JobOptions = z.strictObject({
  model: z.string().max(200).optional(),
  language: z.string().max(64).optional(),
})
export type JobOptions = z.infer<typeof JobOptions>

export const JobData = z.object({
  v: z.literal(1),
  ref: z.string(),
  options: JobOptions,
  priority: JobPriority,
  /** Of the audio and the options: tells whether a second request with the same key is the same request. */
  digest: z.string(),
  /** Replicas that failed it: the next attempt goes to another one. */
  avoid: z.array(z.string()).default([]),
})
export type JobData = z.infer<typeof JobData>

export type TranscriptionJob = Job<JobData, Transcription>

const Failure = z.object({ code: z.string(), message: z.string(), param: z.string().nullable() })

/** BullMQ keeps one line of text of an error. */
export function writeFailure(thrown: unknown): string {
  const { code, message, param } = toAppError(thrown)
  return JSON.stringify({ code, message, param } satisfies z.infer<typeof Failure>)
}

/** The error that `writeFailure` wrote; `stage_failed` for what BullMQ itself wrote, as when a job killed its workers. */
function readFailure(reason: string): AppError {
  const { code, message, param } = Failure.safeParse(parseJson(reason)).data ?? {
    code: '',
    message: reason,
    param: null,
  }
  const details = { stage: 'stt' }
  if (!isKnown(code)) return new AppError('stage_failed', 'stt: the job stopped its worker too often', { details })
  return new AppError(code, message, { details, ...(param !== null && { param }) })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const isKnown = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code)

export type JobReport = {
  readonly id: string
  readonly status: 'queued' | 'running' | 'completed' | 'failed'
  /** 0 or 1: a file is heard in one piece. */
  readonly progress: number
  readonly result?: Transcription
  readonly error?: AppError
}

/** What BullMQ's states are to a caller; a job between two attempts is queued. */
export function reportOf(id: string, job: TranscriptionJob, state: string): JobReport {
  if (state === 'completed')
    return { id, status: 'completed', progress: 1, result: Transcription.parse(job.returnvalue) }
  if (state === 'failed') return { id, status: 'failed', progress: 1, error: readFailure(job.failedReason ?? '') }
  return { id, status: state === 'active' ? 'running' : 'queued', progress: 0 }
}
