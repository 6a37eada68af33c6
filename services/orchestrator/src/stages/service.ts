/**
 * A call to another of Hearth's services over HTTP. What went wrong there is told here in one of two ways: as the service's
 * own error where the caller can act on it (a bad request, too much at once, not ready yet), else as `stage_failed`.
 */
import { ErrorBody } from '@hearth/shared/api'
import { AppError, ERROR_CODES } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import { sendOnce } from '../replica-send.ts'
import type { Send } from '../replica-send.ts'
import { within } from './limit.ts'

export type Service = {
  /** The stage it serves, as errors name it. */
  readonly stage: string
  /** Without a trailing slash. */
  readonly url: string
  /** For the whole answer, body included. */
  readonly limitMs: number
  /** How to reach it; once, at that one address, when it is left out. */
  readonly send?: Send
}

/**
 * Sends a request and gives what `read` makes of a good answer. Throws `stage_failed` (no answer, not in time, or one that
 * `read` can't use), the service's own 4xx, 429 or 503, or the signal's reason.
 */
export async function callService<T>(
  service: Service,
  path: string,
  init: RequestInit,
  read: (response: Response) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  try {
    return await within(service.limitMs, signal, async (limit) => {
      const { url, send = sendOnce } = service
      const response = await send(`${url}${path}`, () => ({ ...init, redirect: 'error', signal: limit }))
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

const stageFailed = (stage: string, why: string, cause: unknown): AppError =>
  new AppError('stage_failed', `${stage}: ${why}`, { cause, details: { stage } })

async function refusal({ stage }: Service, response: Response): Promise<AppError> {
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
