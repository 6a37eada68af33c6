/**
 * How often a hub is asked again, and what the end of that is called. The idea: errors say themselves whether the next
 * attempt may go better, so that one place decides about all of them.
 */
import { AppError } from './errors.ts'
import type { Log } from './telemetry.ts'
import type { SetTimer } from './waits.ts'

const MAX_BACK_OFF_MS = 30_000

export type HubOptions = {
  readonly endpoint: string
  readonly token: string | undefined
  readonly fetch: typeof fetch
  readonly connectTimeoutMs: number
  readonly stallTimeoutMs: number
  /** Failures in a row that are tried again. */
  readonly retries: number
  /** A pause between attempts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  /** A limit on a wait; returns its cancel. */
  readonly setTimer: SetTimer
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Told of each piece of content that came over the network, in bytes. */
  readonly onReceived?: (bytes: number) => void
}

export type RemoteFile = { readonly id: string; readonly revision: string; readonly file: string }

/** No connection to the hub: name not resolved, refused, or silent. */
export class HubUnreachable extends Error {
  override readonly name = 'HubUnreachable'
}

/** A failure that the next attempt may not have. */
export class Transient extends Error {
  override readonly name = 'Transient'
  readonly retryAfterMs: number

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, { cause: options.cause })
    this.retryAfterMs = options.retryAfterMs ?? 0
  }
}

export const inWords = ({ id, revision, file }: RemoteFile): string => `file ${file} of ${id} at revision ${revision}`

/** Decides after each failure: pauses before the next attempt, or throws what ends it. */
export class Attempts {
  readonly #options: HubOptions
  readonly #unreachableRetries: number
  #failures = 0
  #hasAnswered = false

  constructor(options: HubOptions, unreachableRetries: number = options.retries) {
    this.#options = options
    this.#unreachableRetries = unreachableRetries
  }

  /** Forgets earlier failures: there was progress. */
  reset(): void {
    this.#failures = 0
  }

  /**
   * Throws `error` itself when it is final. After the last attempt throws AppError `dependency_unavailable`, or
   * HubUnreachable when nothing ever answered.
   */
  async failed(error: unknown, remote: RemoteFile, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!(error instanceof Transient) && !(error instanceof HubUnreachable)) throw error
    this.#failures += 1
    this.#hasAnswered ||= error instanceof Transient
    const retries = this.#hasAnswered ? this.#options.retries : this.#unreachableRetries
    if (this.#failures > retries) throw this.#hasAnswered ? exhausted(error, remote) : error
    await this.#pause(error, remote, signal)
  }

  async #pause(error: Transient | HubUnreachable, { id, file }: RemoteFile, signal: AbortSignal): Promise<void> {
    const askedMs = error instanceof Transient ? error.retryAfterMs : 0
    const waitMs = Math.max(askedMs, Math.min(500 * 2 ** (this.#failures - 1), MAX_BACK_OFF_MS))
    this.#options.log.warn({ id, file, attempt: this.#failures, waitMs, reason: error.message }, 'hub attempt failed')
    await this.#options.wait(waitMs, signal)
  }
}

export const exhausted = (error: Error, remote: RemoteFile): AppError =>
  new AppError('dependency_unavailable', `gave up fetching ${inWords(remote)}: ${error.message}`, { cause: error })

/** Repeats `work` as `Attempts` allows. */
export async function retrying<T>(
  attempts: Attempts,
  remote: RemoteFile,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      await attempts.failed(error, remote, signal)
    }
  }
}
