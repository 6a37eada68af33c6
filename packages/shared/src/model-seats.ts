/**
 * The places of a service's models: the one where requests look, the one of the model that is to take it, and those that a model leaves once the
 * last request that leased it is through. The idea: a `Model` has one life, so loading again, unloading and changing the model are all the same
 * step, a new one in the seat.
 */
import type { Preload } from './api.ts'
import { Arrival } from './model-arrival.ts'
import { keyOf, type ModelChoice } from './model-choice.ts'
import { ModelSeat, type SeatHooks, type SeatModel } from './model-seat.ts'
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

  /** Lets `choice` come beside the current one and take its place; unless another one is coming, which is given then. */
  bring(choice: ModelChoice): Arrival<In, Out, Prepared> {
    this.#incoming ??= this.#arrivalOf(this.#seat(choice, 'background', true))
    return this.#incoming
  }

  /** Ends the current model after the requests that hold it; the same one comes again with the next request. */
  vacate(): void {
    if (this.#current.status.state !== 'idle') this.#replace(this.#seat(this.#current.choice, 'lazy'))
  }

  /** Waits for the end of every copy of `choice` that leaves. */
  async gone(choice: ModelChoice): Promise<void> {
    const leaving = [...this.#leaving].filter(([seat]) => isIn(seat, choice))
    await Promise.all(leaving.map(([, gone]) => gone))
  }

  #seat(choice: ModelChoice, preload: Preload, isReplacement = false): ModelSeat<In, Out, Prepared> {
    const { create, ...options } = this.#options
    return new ModelSeat({ ...options, choice, create: (hooks) => create(choice, hooks, { preload, isReplacement }) })
  }

  #arrivalOf(seat: ModelSeat<In, Out, Prepared>): Arrival<In, Out, Prepared> {
    const { closing, setTimer, now } = this.#options
    const onEnd = (hasCome: boolean) => {
      this.#incoming = undefined
      if (!hasCome) return
      this.#replace(seat)
      this.#changedAtMs = now()
    }
    return new Arrival(seat, { closing, setTimer, onEnd })
  }

  #replace(seat: ModelSeat<In, Out, Prepared>): void {
    const { onChange } = this.#options
    const old = this.#current
    this.#current = seat
    const gone = old.retire().finally(() => {
      this.#leaving.delete(old)
      onChange()
    })
    this.#leaving.set(old, gone)
    onChange()
  }
}

/** Also a demo that stands in for the model that was to be there. */
const isIn = ({ choice, status }: Pick<ModelSeat<never, unknown, unknown>, 'choice' | 'status'>, wanted: ModelChoice) =>
  keyOf(choice) === keyOf(wanted) || (wanted.isDemo && status.source === 'demo')
