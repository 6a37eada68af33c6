/**
 * The places of a service's models: the one where requests look, the one of the model that is to take it, and those that a model leaves once the
 * last request that leased it is through. The idea: a `Model` has one life, so loading again, unloading and changing the model are all the same
 * step, a new one in the seat; and what comes again waits for the end of what was there before, so that no model is in memory twice.
 */
import type { ModelStatus, Preload } from './api.ts'
import { Arrival } from './model-arrival.ts'
import { keyOf, type ModelChoice } from './model-choice.ts'
import { ModelSeat, type SeatHooks, type SeatModel } from './model-seat.ts'
import { idleStatus } from './model-status.ts'
import { isLoadedAlready } from './slot-refusals.ts'
import type { SetTimer } from './waits.ts'

export type CreateModel<In, Out, Prepared> = (
  choice: ModelChoice,
  hooks: SeatHooks<Prepared>,
  how: { preload: Preload; isReplacement: boolean },
) => SeatModel<In, Out>

export type SeatsOptions<In, Out, Prepared> = {
  configured: ModelChoice
  preload: Preload
  create: CreateModel<In, Out, Prepared>
  keepAliveMs: number
  now: () => number
  setTimer: SetTimer
  /** What still comes is given up when this aborts. */
  closing: AbortSignal
  /** Called at each change of any model's status. */
  onChange: () => void
}

export class ModelSeats<In, Out, Prepared> {
  readonly #options: SeatsOptions<In, Out, Prepared>
  readonly #leaving = new Map<ModelSeat<In, Out, Prepared>, Promise<void>>()
  #current: ModelSeat<In, Out, Prepared>
  #incoming: Arrival<In, Out, Prepared> | undefined
  #changedAtMs = -Infinity

  constructor(options: SeatsOptions<In, Out, Prepared>) {
    this.#options = options
    this.#current = this.#seat(options.configured, options.preload)
  }

  /** Where requests look. */
  get current(): ModelSeat<In, Out, Prepared> {
    return this.#current
  }

  get incoming(): Arrival<In, Out, Prepared> | undefined {
    return this.#incoming
  }

  /** The current one first. */
  get all(): readonly ModelSeat<In, Out, Prepared>[] {
    return [this.#current, ...(this.#incoming ? [this.#incoming.seat] : []), ...this.#leaving.keys()]
  }

  /** Since another model took the place. */
  get stayedMs(): number {
    return this.#options.now() - this.#changedAtMs
  }

  isCurrent(choice: ModelChoice): boolean {
    return isIn(this.#current, choice)
  }

  isIncoming(choice: ModelChoice): boolean {
    return this.#incoming !== undefined && keyOf(this.#incoming.seat.choice) === keyOf(choice)
  }

  /** How far `choice` is, wherever it is; `idle` when nowhere. */
  statusOf(choice: ModelChoice): ModelStatus {
    if (this.#incoming && this.isIncoming(choice)) return this.#incoming.seat.status
    return this.isCurrent(choice) ? this.#current.status : idleStatus(choice.id)
  }

  /** Lets `choice` come beside the current one and take its place; unless another one is coming, which is given then. */
  bring(choice: ModelChoice): Arrival<In, Out, Prepared> {
    this.#incoming ??= this.#arrivalOf(this.#seat(choice, 'background', true))
    return this.#incoming
  }

  /** Ends the current model after the requests that hold it; the same one comes again with the next request. A demo stays while what it stands in for is coming. */
  vacate(): void {
    const { choice, status } = this.#current
    if (status.state !== 'idle' && !this.isIncoming(choice)) this.#replace(this.#seat(choice, 'lazy'))
  }

  /** Gives up the model that is coming, and whoever waits for it is told so. */
  sendAway(): void {
    const arrival = this.#incoming
    this.#incoming = undefined
    if (!arrival) return
    arrival.giveUp()
    this.#leave(arrival.seat)
  }

  /** Waits for the end of every copy of `choice` that leaves. */
  async gone(choice: ModelChoice): Promise<void> {
    const leaving = [...this.#leaving].filter(([seat]) => isIn(seat, choice))
    await Promise.all(leaving.map(([, gone]) => gone))
  }

  #seat(choice: ModelChoice, preload: Preload, isReplacement = false): ModelSeat<In, Out, Prepared> {
    const { create, ...options } = this.#options
    return new ModelSeat({
      ...options,
      choice,
      create: (hooks) => create(choice, hooks, { preload, isReplacement }),
      endOfOther: (copyOf) => this.#endOf(copyOf),
    })
  }

  #endOf(copyOf: string): Promise<void> | null {
    const seat = this.all.find((one) => one.copyOf === copyOf)
    if (!seat) return null
    const gone = this.#leaving.get(seat)
    if (!gone) throw isLoadedAlready(seat.status)
    return gone
  }

  #arrivalOf(seat: ModelSeat<In, Out, Prepared>): Arrival<In, Out, Prepared> {
    const { closing, setTimer, now } = this.#options
    const onEnd = (hasCome: boolean) => {
      if (this.#incoming?.seat === seat) this.#incoming = undefined
      if (!hasCome) return
      this.#replace(seat)
      this.#changedAtMs = now()
    }
    return new Arrival(seat, { closing, setTimer, onEnd })
  }

  #replace(seat: ModelSeat<In, Out, Prepared>): void {
    const old = this.#current
    this.#current = seat
    this.#leave(old)
  }

  #leave(seat: ModelSeat<In, Out, Prepared>): void {
    const { onChange } = this.#options
    const gone = seat.retire().finally(() => {
      this.#leaving.delete(seat)
      onChange()
    })
    this.#leaving.set(seat, gone)
    onChange()
  }
}

/** Also a demo that stands in for the model that was to be there. */
const isIn = ({ choice, status }: Pick<ModelSeat<never, unknown, unknown>, 'choice' | 'status'>, wanted: ModelChoice) =>
  keyOf(choice) === keyOf(wanted) || (wanted.isDemo && status.source === 'demo')
