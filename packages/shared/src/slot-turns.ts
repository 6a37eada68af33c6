/**
 * Whose turn it is in a slot: one model comes at a time, and one that has come at a request's wish stays a while before another request may
 * replace it, so that two callers can't make it change all the time.
 */
import type { ModelChoice } from './model-choice.ts'
import type { ModelSeats } from './model-seats.ts'
import { stillLoading } from './model-status.ts'
import { hasToStay, isBusy } from './slot-refusals.ts'
import { orAborted, type SetTimer, within } from './waits.ts'

const LEAST_STAY_MS = 30_000

/** How long somebody still waits; asked at each step. */
type LeftMs = () => number

type TurnsOptions = {
  readonly closing: AbortSignal
  readonly setTimer: SetTimer
  readonly maxQueueSize: number
}

export class SlotTurns<In, Out, Prepared> {
  readonly #seats: ModelSeats<In, Out, Prepared>
  readonly #options: TurnsOptions
  #held = 0

  constructor(seats: ModelSeats<In, Out, Prepared>, options: TurnsOptions) {
    this.#seats = seats
    this.#options = options
  }

  /** For a request: waits until it may bring `choice`, and then until that has come. Rejects as `bring` does, or when its turn comes too late. */
  take(choice: ModelChoice, leftMs: LeftMs, signal: AbortSignal): Promise<void> {
    return this.#hold(choice, async () => {
      await this.#untilItsTurn(choice, leftMs(), signal)
      if (!this.#seats.isCurrent(choice)) await this.#come(choice, leftMs(), signal)
    })
  }

  /**
   * At once, whoever had its turn. Rejects with `model_loading` when another one is coming, when time is over, or when as many wait as the queue
   * may hold; with `model_failed`; or with the signal's reason.
   */
  bring(choice: ModelChoice, leftMs: LeftMs, signal: AbortSignal): Promise<void> {
    return this.#hold(choice, () => this.#come(choice, leftMs(), signal))
  }

  /** Who waits here joins the queue of the model that comes: no more are let in than that may hold. */
  async #hold(choice: ModelChoice, wait: () => Promise<void>): Promise<void> {
    if (this.#held >= this.#options.maxQueueSize) throw stillLoading(this.#seats.statusOf(choice))
    this.#held++
    try {
      await wait()
    } finally {
      this.#held--
    }
  }

  async #come(choice: ModelChoice, holdMs: number, signal: AbortSignal): Promise<void> {
    this.#options.closing.throwIfAborted()
    const incoming = this.#seats.bring(choice)
    if (!this.#seats.isIncoming(choice)) throw isBusy(incoming.seat.status, LEAST_STAY_MS)
    await incoming.wait(holdMs, signal)
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
