/**
 * Leaves a service alone that has failed several times in a row, so that no turn waits again for what doesn't come. Whether it is back
 * is asked in the background, with a probe of its own: no caller ever pays for finding out.
 */
import { AppError, toAppError } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { within } from './limit.ts'

export type BreakerOptions = {
  /** As errors and the log name it. */
  readonly stage: string
  /** Asks the service for something small; settles with its answer. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>
  readonly probeLimitMs: number
  /** From a failure to the probe, and from one probe to the next. */
  readonly openMs?: number
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Told when the service answers again. */
  readonly onBack?: () => void
}

const MOST_FAILURES = 5
const OPEN_MS = 10_000

/** A refusal in good order (a bad request, too much at once, a model that still loads) is an answer; these are not. */
const OUTAGES: ReadonlySet<ErrorCode> = new Set([
  'stage_failed',
  'deadline_exceeded',
  'dependency_unavailable',
  'internal_error',
])

export class Breaker {
  readonly #options: BreakerOptions
  readonly #closing = new AbortController()
  #failures = 0
  #isOpen = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  /** Whether the last call failed; the next one may well fail too. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  /**
   * Settles with `work`; after five failures in a row, throws `dependency_unavailable` without it until the service is back. `signal` is
   * the caller's: what fails after its abort is nobody's failure.
   */
  async call<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    if (this.#isOpen) throw this.#refusal()
    try {
      const result = await work()
      if (!this.#isOpen) this.#failures = 0
      return result
    } catch (error) {
      if (!signal.aborted && isOutage(error)) this.#failed()
      throw error
    }
  }

  /** No probe comes any more. */
  close(): void {
    this.#closing.abort()
    clearTimeout(this.#timer)
  }

  #failed(): void {
    this.#failures++
    if (this.#failures < MOST_FAILURES || this.#isOpen) return
    this.#isOpen = true
    const { stage, log } = this.#options
    log.warn({ stage, failures: this.#failures }, 'left alone until it answers again')
    this.#probeLater()
  }

  #probeLater(): void {
    if (this.#closing.signal.aborted) return
    const { openMs = OPEN_MS } = this.#options
    this.#timer = setTimeout(() => void this.#probe(), openMs).unref()
  }

  async #probe(): Promise<void> {
    const { stage, probe, probeLimitMs, log, onBack } = this.#options
    try {
      await within(probeLimitMs, this.#closing.signal, probe)
    } catch (error) {
      if (this.#closing.signal.aborted || isOutage(error)) return this.#probeLater()
    }
    this.#isOpen = false
    this.#failures = 0
    log.info({ stage }, 'answers again')
    onBack?.()
  }

  #refusal(): AppError {
    const { stage, openMs = OPEN_MS } = this.#options
    const why = `${stage}: it failed ${MOST_FAILURES} times in a row, and is left alone until it answers again`
    return new AppError('dependency_unavailable', why, { details: { stage }, retryAfterMs: openMs })
  }
}

const isOutage = (error: unknown): boolean => OUTAGES.has(toAppError(error).code)
