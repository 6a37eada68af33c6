/**
 * The ear of a turn through the job queue, so that all orchestrators share all stt replicas. The queue is a help, not a need: while
 * its Redis is away, or loses a job, the turn's audio goes to the stt service directly, and the turn says so.
 */
import { AppError } from '@hearth/shared/errors'
import { within } from '../stages/limit.ts'
import type { Heard, SpeechToText } from '../stages/stt.ts'
import type { JobQueue } from './queue.ts'

export type QueuedSttOptions = {
  readonly queue: Pick<JobQueue, 'submit' | 'wait' | 'forget'>
  readonly direct: SpeechToText
  /** For one file, its wait included. */
  readonly limitMs: number
}

/** Throws what the direct client throws; `unqueued` in what was heard says why the queue had no part in it. */
export function createQueuedStt({ queue, direct, limitMs }: QueuedSttOptions): SpeechToText {
  return {
    async transcribe(wav, signal, language) {
      try {
        return await within(limitMs, signal, (limit) => throughQueue(wav, language, limit))
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof AppError) || !isQueueAway(error)) throw error
        return { ...(await direct.transcribe(wav, signal, language)), unqueued: error }
      }
    },
  }

  async function throughQueue(audio: Uint8Array, language: string | undefined, signal: AbortSignal): Promise<Heard> {
    const { id } = await queue.submit({ audio, options: { language }, priority: 'interactive' }, signal)
    try {
      return await queue.wait(id, signal)
    } finally {
      // Nobody else knows this job, and what was said is not to be kept.
      void queue.forget(id)
    }
  }
}

/** Redis is away, was emptied, or the spool's disk is full. */
const isQueueAway = ({ code }: AppError): boolean =>
  code === 'dependency_unavailable' || code === 'job_not_found' || code === 'storage_full'
