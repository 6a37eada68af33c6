/**
 * Whose turn it is in a slot: one model comes at a time, and one that has come at a request's wish stays a while before another request may
 * replace it, so that two callers can't make it change all the time.
 */
import type { ModelChoice } from './model-choice.ts'
import type { ModelSeats, SeatsOptions } from './model-seats.ts'
import { hasToStay, isBusy } from './slot-refusals.ts'
import { orAborted, within } from './waits.ts'

const LEAST_STAY_MS = 30_000

/** How long somebody still waits; asked at each step. */
type LeftMs = () => number

export class SlotTurns<In, Out, Prepared> {
  readonly #seats: ModelSeats<In, Out, Prepared>
  readonly #options: Pick<SeatsOptions<In, Out, Prepared>, 'closing' | 'setTimer'>

  constructor(
    seats: ModelSeats<In, Out, Prepared>,
    options: Pick<SeatsOptions<In, Out, Prepared>, 'closing' | 'setTimer'>,
  ) {
    this.#seats = seats
    this.#options = options
  }

  /** For a request: waits until it may bring `choice`, and then until that has come. Rejects as `bring` does, or when its turn comes too late. */
  async take(choice: ModelChoice, leftMs: LeftMs, signal: AbortSignal): Promise<void> {
    await this.#untilItsTurn(choice, leftMs(), signal)
    if (!this.#seats.isCurrent(choice)) await this.bring(choice, leftMs, signal)
  }

  /** At once, whoever had its turn. Rejects with `model_loading` when another one is coming or time is over, with `model_failed`, or with the signal's reason. */
  async bring(choice: ModelChoice, leftMs: LeftMs, signal: AbortSignal): Promise<void> {
    this.#options.closing.throwIfAborted()
    const incoming = this.#seats.bring(choice)
    if (!this.#seats.isIncoming(choice)) throw isBusy(incoming.seat.status, LEAST_STAY_MS)
    await incoming.wait(leftMs(), signal)
  }

  /** Once nobody else's model is coming and the one here has had its time. */
  async #untilItsTurn(choice: ModelChoice, holdMs: number, signal: AbortSignal): Promise<void> {
    const { closing, setTimer } = this.#options
    const waitMs = this.#seats.incoming ? 0 : LEAST_STAY_MS - this.#seats.stayedMs
    if (waitMs <= 0) return
    if (waitMs > holdMs) throw hasToStay(this.#seats.current.status, choice, waitMs)
    const over = within(waitMs, new Promise(() => undefined), setTimer)
    await orAborted(over, AbortSignal.any([signal, closing]))
  }
}
