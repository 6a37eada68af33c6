/**
 * The one error type and the one table of codes. Code throws an AppError where it knows what went wrong;
 * the edge (http.ts) translates it once, into the error body that OpenAI's clients understand.
 */

type ErrorKind = { readonly status: number; readonly type: string; readonly retryable: boolean }

const invalid = (status: number): ErrorKind => ({ status, type: 'invalid_request_error', retryable: false })
const server = (status: number): ErrorKind => ({ status, type: 'server_error', retryable: false })
const later = (status: number): ErrorKind => ({
  status,
  type: status === 429 ? 'rate_limit_error' : 'server_error',
  retryable: true,
})

/** Every code a caller can see: its HTTP status, OpenAI error type, and whether the same request may succeed later. */
export const ERROR_CODES = {
  invalid_request: invalid(400),
  invalid_json: invalid(400),
  invalid_encoding: invalid(400),
  invalid_multipart: invalid(400),
  incomplete_body: invalid(400),
  missing_file: invalid(400),
  duplicate_field: invalid(400),
  unknown_field: invalid(400),
  unknown_event: invalid(400),
  empty_audio: invalid(400),
  audio_too_short: invalid(400),
  undecodable_audio: invalid(400),
  unsupported_sample_rate: invalid(400),
  invalid_samples: invalid(400),
  empty_text: invalid(400),
  nothing_to_speak: invalid(400),
  input_too_long: invalid(400),
  unauthorized: { status: 401, type: 'authentication_error', retryable: false },
  host_not_allowed: invalid(403),
  origin_not_allowed: invalid(403),
  not_found: invalid(404),
  model_not_found: invalid(404),
  voice_not_found: invalid(404),
  session_not_found: invalid(404),
  job_not_found: invalid(404),
  memory_not_found: invalid(404),
  method_not_allowed: invalid(405),
  not_acceptable: invalid(406),
  request_timeout: invalid(408),
  idempotency_conflict: invalid(409),
  body_too_large: invalid(413),
  text_too_long: invalid(413),
  audio_too_long: invalid(413),
  batch_too_large: invalid(413),
  unsupported_media: invalid(415),
  unsupported_encoding: invalid(415),
  unsupported_content_type: invalid(415),
  upgrade_required: invalid(426),
  overloaded: later(429),
  session_limit_reached: later(429),
  headers_too_large: invalid(431),
  cancelled: invalid(499),
  internal_error: server(500),
  engine_failed: server(500),
  job_poisoned: server(500),
  unsupported_job_version: server(500),
  stage_failed: server(502),
  model_loading: later(503),
  model_failed: later(503),
  draining: later(503),
  dependency_unavailable: later(503),
  job_lost: later(503),
  deadline_exceeded: server(504),
  storage_full: server(507),
  invalid_config: server(500),
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERROR_CODES

export type AppErrorOptions = {
  readonly cause?: unknown
  /** The request field at fault, as the caller named it. */
  readonly param?: string
  /** Milliseconds after which the same request is worth sending again. */
  readonly retryAfterMs?: number
  /** Fields that stand beside `error` in the body, such as `loading`. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** An error whose message may be shown to the caller: it says what was expected and what came, never the input itself. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly param: string | null
  readonly retryAfterMs: number | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.param = options.param ?? null
    this.retryAfterMs = options.retryAfterMs
    this.details = options.details ?? {}
  }

  get status(): number {
    return ERROR_CODES[this.code].status
  }

  get type(): string {
    return ERROR_CODES[this.code].type
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable
  }
}

/** Any thrown value as an AppError: aborts keep their reason, unknown errors become `internal_error` and keep their cause. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (isAbort(error)) return new AppError('cancelled', 'the request was cancelled', { cause: error })
  if (isTimeout(error)) return new AppError('deadline_exceeded', 'the time limit was reached', { cause: error })
  return new AppError('internal_error', 'internal error', { cause: error })
}

const isNamed = (error: unknown, name: string): boolean => error instanceof Error && error.name === name
const isAbort = (error: unknown): boolean => isNamed(error, 'AbortError')
const isTimeout = (error: unknown): boolean => isNamed(error, 'TimeoutError')
