/**
 * Another model on its way to the place where one sits: it comes beside that one, and those who want it wait here. It goes on coming behind
 * who stops waiting.
 */
import { AppError, toAppError } from './errors.ts'
import type { ModelSeat } from './model-seat.ts'
import { stillLoading } from './model-status.ts'
import { couldNotCome } from './slot-refusals.ts'
import { orAborted, type SetTimer } from './waits.ts'

/** Downloads included. */
const LIMIT_MS = 3_600_000

export type ArrivalOptions = {
  readonly closing: AbortSignal
  readonly setTimer: SetTimer
  /** Called once, before those who wait are told. */
  readonly onEnd: (hasCome: boolean) => void
}

export class Arrival<In, Out, Prepared> {
  readonly seat: ModelSeat<In, Out, Prepared>
  readonly #options: ArrivalOptions
  readonly #done: Promise<void>
  readonly #givenUp = new AbortController()

  constructor(seat: ModelSeat<In, Out, Prepared>, options: ArrivalOptions) {
    this.seat = seat
    this.#options = options
    // In a later microtask, so that it is known as the one that comes before its first news.
    this.#done = Promise.resolve().then(() => this.#come())
    this.#done.catch(() => undefined)
  }

  /** Rejects with `model_loading` after `holdMs`, with `model_failed` when it can't come, or with the signal's reason. */
  async wait(holdMs: number, signal: AbortSignal): Promise<void> {
    const late = Promise.withResolvers<never>()
    const cancel = this.#options.setTimer(() => late.reject(stillLoading(this.seat.status)), holdMs)
    await orAborted(Promise.race([this.#done, late.promise]), signal).finally(cancel)
  }

  /** It does not come: its seat is for the caller to clear. */
  giveUp(): void {
    this.#givenUp.abort(new AppError('model_loading', 'it was unloaded'))
  }

  async #come(): Promise<void> {
    const { closing, onEnd } = this.#options
    const signal = AbortSignal.any([closing, this.#givenUp.signal])
    let hasCome = false
    try {
      await this.seat.model.ready(signal, LIMIT_MS)
      signal.throwIfAborted()
      hasCome = true
    } catch (error) {
      const { error: reason } = this.seat.status
      await this.seat.model.close()
      closing.throwIfAborted()
      throw couldNotCome(this.seat.choice, reason ?? toAppError(error).message)
    } finally {
      onEnd(hasCome)
    }
  }
}
