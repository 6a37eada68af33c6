/**
 * A call to another of Hearth's services over HTTP. What went wrong there is told here in one of two ways: as the service's
 * own error where the caller can act on it (a bad request, too much at once, not ready yet), else as `stage_failed`.
 */
import { ErrorBody } from '@hearth/shared/api'
import { AppError, ERROR_CODES } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import { sendOnce } from '../replica-send.ts'
import type { Send } from '../replica-send.ts'
import { askAgain } from './fetch-again.ts'
import { within } from './limit.ts'
import { traceHeaders } from './trace.ts'

export type Service = {
  /** The stage it serves, as errors name it. */
  readonly stage: string
  /** Without a trailing slash. */
  readonly url: string
  /** For the whole answer, body included. */
  readonly limitMs: number
  /** For the beginning of an answer, where that is to come sooner. */
  readonly firstByteMs?: number
  /** Asks once more when no byte of an answer came. */
  readonly retries?: boolean
  /** How to reach it; once, at that one address, when it is left out. */
  readonly send?: Send
}

/**
 * Sends a request, with the trace of the signal (trace.ts), and gives what `read` makes of a good answer. Throws `stage_failed` (no answer, not in time, or one that
 * `read` can't use), the service's own 4xx, 429 or 503, or the signal's reason.
 */
export async function callService<T>(
  service: Service,
  path: string,
  request: Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> },
  read: (response: Response) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const init = { ...request, headers: { ...request.headers, ...traceHeaders(signal) } }
  try {
    return await within(service.limitMs, signal, async (limit) => {
      const response = await firstByte(service, path, init, limit)
      if (!response.ok) throw await refusal(service, response)
      return read(response)
    })
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AppError && error.code !== 'deadline_exceeded') throw error
    const why = error instanceof AppError ? error.message : 'it does not answer, or not what was expected'
    throw stageFailed(service.stage, why, error)
  }
}

async function firstByte(
  { url, limitMs, firstByteMs = limitMs, retries, send = sendOnce }: Service,
  path: string,
  init: RequestInit,
  limit: AbortSignal,
): Promise<Response> {
  return within(firstByteMs, limit, (soon) => {
    // The whole answer's limit stays on the body, which is read later.
    const request = { ...init, redirect: 'error', signal: AbortSignal.any([limit, soon]) } as const
    const ask = () => send(`${url}${path}`, () => request)
    return retries ? askAgain(ask, request.signal) : ask()
  })
}

export const stageFailed = (stage: string, why: string, cause: unknown): AppError =>
  new AppError('stage_failed', `${stage}: ${why}`, { cause, details: { stage } })

/** What a service's answer with an error status is here. */
export async function refusal({ stage }: Pick<Service, 'stage'>, response: Response): Promise<AppError> {
  const body = ErrorBody.safeParse(await response.json().catch(() => null)).data
  const code = body?.error.code
  const { status } = response
  if (!body || !isKnown(code) || !(status < 500 || status === 503))
    return stageFailed(stage, `the service answered ${status}`, body?.error.message)
  const retryAfterMs = Number(response.headers.get('retry-after-ms') ?? Number.NaN)
  const { message, param } = body.error
  return new AppError(code, message, {
    details: { stage },
    ...(param !== null && { param }),
    ...(Number.isFinite(retryAfterMs) && { retryAfterMs }),
  })
}

const isKnown = (code: string | null | undefined): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(ERROR_CODES, code)
