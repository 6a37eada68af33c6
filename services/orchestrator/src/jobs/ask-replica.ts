/** One job's request to one stt replica, and what its answer means for the job: the end, a wait, or another try. */
import { AppError } from '@hearth/shared/errors'
import { within } from '../stages/limit.ts'
import { refusal, stageFailed } from '../stages/service.ts'
import type { JobData } from './job.ts'
import { readReply, responseOf } from './reply.ts'
import type { Reply } from './reply.ts'

/** `wait`: nothing is wrong with the job, and trying again costs it nothing. */
export type Answer =
  | { readonly end: 'answered'; readonly reply: Reply }
  | {
      readonly end: 'refused' | 'wait' | 'failed'
      readonly error: AppError
      readonly reply?: Reply
      readonly isGone?: true
    }

const STT = 'stt'

/** Throws only the signal's reason. `limitMs` is for the whole answer. */
export async function askReplica(
  url: string,
  { path, headers }: Pick<JobData, 'path' | 'headers'>,
  form: Blob,
  limitMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    const reply = await within(limitMs, signal, async (limit) =>
      readReply(
        await fetch(`${url}${path}`, { method: 'POST', headers, body: form, redirect: 'error', signal: limit }),
      ),
    )
    return await answerOf(reply)
  } catch (thrown) {
    signal.throwIfAborted()
    const why = thrown instanceof AppError ? thrown.message : 'it does not answer'
    const error = stageFailed(STT, why, thrown)
    return isUnreachable(thrown) ? { end: 'wait', error, isGone: true } : { end: 'failed', error }
  }
}

/** 429 and 503 pass by themselves; what else is below 500 is the caller's own, above it the replica's. */
async function answerOf(reply: Reply): Promise<Answer> {
  if (reply.status < 400) return { end: 'answered', reply }
  const error = await refusal({ stage: STT }, responseOf(reply))
  if (reply.status === 503) return { end: 'wait', error, reply, isGone: true }
  if (reply.status === 429) return { end: 'wait', error, reply }
  return { end: reply.status < 500 ? 'refused' : 'failed', error, reply }
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Nobody was there: the file can't be at fault. */
function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && UNREACHABLE.has(error.code)) return true
  return isUnreachable(error.cause)
}
