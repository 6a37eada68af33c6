/** An AppError as it goes over the wire: the one place that knows OpenAI's error body and the headers its clients obey. */
import { HEADERS } from './api.ts'
import { type AppError, toAppError } from './errors.ts'

/** The error body (OpenAI's), with what an error adds beside it. */
export function errorBody(error: AppError, requestId: string): object {
  const { message, type, param, code } = error
  const { allow: _, ...details } = error.details
  return { error: { message, type, param, code }, ...details, request_id: requestId }
}

/** The error body with its headers. `x-should-retry` and `retry-after-ms` are what OpenAI's clients obey. */
export function errorResponse(thrown: unknown, requestId: string): Response {
  const error = toAppError(thrown)
  const headers = new Headers({ 'x-should-retry': String(error.retryable), [HEADERS.requestId]: requestId })
  const retryAfterMs = error.retryAfterMs ?? (error.retryable ? 1000 : undefined)
  if (retryAfterMs !== undefined) {
    headers.set('retry-after', String(Math.ceil(retryAfterMs / 1000)))
    headers.set('retry-after-ms', String(Math.ceil(retryAfterMs)))
  }
  if (error.status === 401) headers.set('www-authenticate', 'Bearer')
  if (error.code === 'method_not_allowed') headers.set('allow', String(error.details['allow']))
  return Response.json(errorBody(error, requestId), { status: error.status, headers })
}
