/**
 * The ear of a turn through the job queue, so that all orchestrators share all stt replicas. The queue is a help, not a need: while
 * its Redis is away, or loses a job, the turn's audio goes to the stt service directly, and the turn says so.
 */
import { AppError } from '@hearth/shared/errors'
import { within } from '../stages/limit.ts'
import { refusal, stageFailed } from '../stages/service.ts'
import { readHeard, transcriptionForm } from '../stages/stt.ts'
import type { Heard, SpeechToText } from '../stages/stt.ts'
import { traceHeaders } from '../stages/trace.ts'
import type { JobQueue } from './queue.ts'
import { responseOf } from './reply.ts'

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
        return await within(limitMs, signal, (limit) => throughQueue(wav, language, limit))
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof AppError) || !isQueueAway(error)) throw error
        return { ...(await direct.transcribe(wav, signal, language)), unqueued: error }
      }
    },
  }

  async function throughQueue(wav: Uint8Array, language: string | undefined, signal: AbortSignal): Promise<Heard> {
    const { form, headers } = await formOf(transcriptionForm(wav, language))
    const path = '/v1/audio/transcriptions'
    const traced = { ...headers, ...traceHeaders(signal) }
    const reply = responseOf(await queue.hear({ path, form, headers: traced, priority: 'interactive' }, signal))
    if (!reply.ok) throw await refusal({ stage: 'stt' }, reply)
    return readHeard(reply).catch((cause: unknown) => {
      throw stageFailed('stt', 'its answer is not what was expected', cause)
    })
  }
}

/** A form as a job carries it. */
export async function formOf(fields: FormData) {
  const request = new Response(fields)
  const headers = { 'content-type': request.headers.get('content-type') ?? '' }
  return { form: new Uint8Array(await request.arrayBuffer()), headers }
}

const AWAY = new Set(['dependency_unavailable', 'job_lost', 'storage_full'])

/** Redis is away, was emptied, or the spool's disk is full: the stt service can be asked all the same. */
export const isQueueAway = ({ code }: AppError): boolean => AWAY.has(code)
