/**
 * The ear of a turn through the job queue, so that all orchestrators share all stt replicas. The queue is a help, not a need: while
 * its Redis is away, or loses a job, the turn's audio goes to the stt service directly, and the turn says so.
 */
import { AppError } from '@hearth/shared/errors'
import { within } from '../stages/limit.ts'
import type { SpeechToText } from '../stages/stt.ts'
import type { JobQueue } from './queue.ts'

export type QueuedSttOptions = {
  readonly queue: Pick<JobQueue, 'hear'>
  readonly direct: SpeechToText
  /** For one file, its wait included. */
  readonly limitMs: number
}

/** Throws what the direct client throws; `unqueued` in what was heard says why the queue had no part in it. */
export function createQueuedStt({ queue, direct, limitMs }: QueuedSttOptions): SpeechToText {
  return {
    async transcribe(wav, signal, language) {
      try {
        return await within(limitMs, signal, (limit) =>
          queue.hear({ audio: wav, options: { language }, priority: 'interactive' }, limit),
        )
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof AppError) || !isQueueAway(error)) throw error
        return { ...(await direct.transcribe(wav, signal, language)), unqueued: error }
      }
    },
  }
}

/** Redis is away, was emptied, or the spool's disk is full. */
const isQueueAway = ({ code }: AppError): boolean =>
  code === 'dependency_unavailable' || code === 'job_not_found' || code === 'storage_full'
