/**
 * The one place of a service where its model sits, and how another takes it. The idea: a `Model` has one life, so loading again, unloading and
 * changing the model are all the same step, a new one in its seat; the old one ends when the last request that leased it is through.
 */
import type { BatchResult } from './batcher.ts'
import type { ModelStatus, Preload } from './api.ts'
import { AppError } from './errors.ts'
import { Arrival } from './model-arrival.ts'
import { keyOf, type ModelChoice, type ModelChoices } from './model-choice.ts'
import { type ModelLease, ModelSeat, type SeatHooks, type SeatModel } from './model-seat.ts'
import { type FetchProgress, idleStatus } from './model-status.ts'
import { hasToStay, isBusy } from './slot-refusals.ts'
import { orAborted, type SetTimer, systemTimer, within } from './waits.ts'

export type SlotOptions<In, Out, Prepared> = {
  choices: ModelChoices
  /** Makes a model that is not started yet. A `replacement` has no stand-in: it comes as what it is asked for, or fails. */
  create: (
    choice: ModelChoice,
    hooks: SeatHooks<Prepared>,
    how: { preload: Preload; isReplacement: boolean },
  ) => SeatModel<In, Out>
  /** Brings a model's files into the cache. */
  pull: (choice: ModelChoice, onProgress: (progress: FetchProgress) => void, signal: AbortSignal) => Promise<unknown>
  preload: Preload
  /** How long an unused model stays; for ever unless told. */
  keepAliveMs?: number
  /** How long a request waits for its model; 120 s unless told. */
  coldHoldMs?: number
  now?: () => number
  setTimer?: SetTimer
}

export type Loaded<Prepared> = {
  readonly choice: ModelChoice
  readonly status: ModelStatus
  /** What was read of its files; null until they are there. */
  readonly prepared: Prepared | null
  readonly expiresInMs: number | null
}

/** A model that was brought by a request stays that long before another request may replace it: two callers can't make it change all the time. */
const LEAST_STAY_MS = 30_000
/** A timer that is to wait longer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export class ModelSlot<In, Out, Prepared> {
  readonly choices: ModelChoices
  readonly #options: SlotOptions<In, Out, Prepared>
  readonly #now: () => number
  readonly #setTimer: SetTimer
  readonly #closing = new AbortController()
  readonly #watchers = new Set<() => void>()
  readonly #leaving = new Map<ModelSeat<In, Out, Prepared>, Promise<void>>()
  #current: ModelSeat<In, Out, Prepared>
  #incoming: Arrival<In, Out, Prepared> | undefined
  #changedAtMs = -Infinity
  #cancelExpiry: (() => void) | undefined

  constructor(options: SlotOptions<In, Out, Prepared>) {
    this.#options = options
    this.choices = options.choices
    this.#now = options.now ?? (() => performance.now())
    this.#setTimer = options.setTimer ?? systemTimer
    this.#current = this.#seat(options.choices.configured, options.preload)
  }

  get status(): ModelStatus {
    return this.#current.status
  }

  get prepared(): Prepared | null {
    return this.#current.prepared
  }

  /** Begins loading, unless the policy leaves that to the first request. */
  preload(): void {
    this.#current.model.preload()
  }

  /** Waits for the model that sits here; as `Model.ready`. */
  ready(signal: AbortSignal): Promise<void> {
    return this.#current.model.ready(signal)
  }

  /** One input through the model that sits here now; as `Model.submit`. */
  async submit(input: In, signal: AbortSignal): Promise<BatchResult<Out> & { model: string }> {
    const lease = this.#current.lease()
    this.#expireLater()
    return lease.submit(input, signal).finally(lease.release)
  }

  /**
   * For one request: the model that sits here, or the one it names, once that has come. Rejects with `model_loading` when that takes longer than
   * the request is held, with `model_failed` when it can't be had (then the one before stays), or with the signal's reason.
   */
  async lease(
    { choice, holdMs }: { choice?: ModelChoice | undefined; holdMs?: number | undefined },
    signal: AbortSignal,
  ): Promise<ModelLease<In, Out, Prepared>> {
    const untilMs = this.#now() + this.#holdMs(holdMs)
    const leftMs = () => Math.max(0, untilMs - this.#now())
    if (choice?.mayTakeTurns && !this.#sitsHere(choice)) {
      await this.#untilItsTurn(choice, leftMs(), signal)
      if (!this.#sitsHere(choice)) await this.load(choice, signal, leftMs())
    }
    const lease = this.#current.lease(leftMs())
    this.#expireLater()
    return lease
  }

  /**
   * Brings `choice` beside the model that sits here, warms it, and lets it take the place: requests in flight end where they began. Loads the
   * one that sits here when it is that, and not a demo that stands in for it. Rejects as `lease` does; what has begun goes on behind a caller that stops waiting.
   */
  async load(choice: ModelChoice, signal: AbortSignal, holdMs?: number): Promise<void> {
    const isStoodInFor = !choice.isDemo && this.status.source === 'demo'
    if (this.#sitsHere(choice) && !isStoodInFor) return this.#current.model.ready(signal, this.#holdMs(holdMs))
    this.#closing.signal.throwIfAborted()
    const incoming = (this.#incoming ??= this.#bring(choice))
    if (keyOf(incoming.seat.choice) !== keyOf(choice)) throw isBusy(incoming.seat.status, LEAST_STAY_MS)
    await incoming.wait(this.#holdMs(holdMs), signal)
  }

  /** Ends `choice` where it is loaded or coming, after the requests that hold it; it comes again with the next request. */
  async unload(choice: ModelChoice): Promise<void> {
    const incoming = this.#incoming
    if (incoming && keyOf(incoming.seat.choice) === keyOf(choice)) await incoming.seat.retire()
    if (this.#sitsHere(choice)) this.#vacate()
    const leaving = [...this.#leaving].filter(([seat]) => isIn(seat, choice))
    await Promise.all(leaving.map(([, gone]) => gone))
  }

  /** Brings the files of `choice` into the cache, without loading it. Rejects as `fetchModel` does, or with `draining`. */
  async pull(choice: ModelChoice, onProgress: (progress: FetchProgress) => void, signal: AbortSignal): Promise<void> {
    await this.#options.pull(choice, onProgress, AbortSignal.any([signal, this.#closing.signal]))
  }

  /** How long the model that sits here stays unused; until it goes. */
  keepAlive(ms: number): void {
    this.#current.keepAliveMs = ms
    this.#expireLater()
  }

  /** Every model that takes memory: the one that sits here first. */
  get loaded(): readonly Loaded<Prepared>[] {
    return this.#seats
      .filter(({ status }) => status.state !== 'idle' && status.state !== 'stopped')
      .map(({ choice, status, prepared, expiresInMs }) => ({ choice, status, prepared, expiresInMs }))
  }

  /** Which one sits here. */
  get choice(): ModelChoice {
    return this.#current.choice
  }

  /** How far `choice` is, wherever it is; `idle` when nowhere. */
  statusOf(choice: ModelChoice): ModelStatus {
    const key = keyOf(choice)
    if (this.#incoming && keyOf(this.#incoming.seat.choice) === key) return this.#incoming.seat.status
    return this.#sitsHere(choice) ? this.status : idleStatus(choice.id)
  }

  /** Calls `listener` at each change of any model's status, until the returned function is called. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }

  /** The service stops: what still comes is given up at once, and who waits for it told so. What is ready serves those it has. */
  drain(): void {
    this.#closing.abort(new AppError('draining', 'the service is shutting down', { retryAfterMs: 1000 }))
    this.#cancelExpiry?.()
    for (const { model, status } of this.#seats) if (status.state !== 'ready') void model.close()
  }

  /** Ends every model. Within limits; never rejects. */
  async close(): Promise<void> {
    this.drain()
    await Promise.all(this.#seats.map(({ model }) => model.close()))
  }

  get #seats(): ModelSeat<In, Out, Prepared>[] {
    return [this.#current, ...(this.#incoming ? [this.#incoming.seat] : []), ...this.#leaving.keys()]
  }

  #holdMs(wanted = Infinity): number {
    return Math.min(wanted, this.#options.coldHoldMs ?? 120_000)
  }

  #sitsHere(choice: ModelChoice): boolean {
    return isIn(this.#current, choice)
  }

  #seat(choice: ModelChoice, preload: Preload, isReplacement = false): ModelSeat<In, Out, Prepared> {
    const { keepAliveMs = Infinity, create } = this.#options
    return new ModelSeat({
      choice,
      create: (hooks) => create(choice, hooks, { preload, isReplacement }),
      keepAliveMs,
      onChange: () => this.#changed(),
      now: this.#now,
      setTimer: this.#setTimer,
    })
  }

  #bring(choice: ModelChoice): Arrival<In, Out, Prepared> {
    const seat = this.#seat(choice, 'background', true)
    const onEnd = (hasCome: boolean) => {
      this.#incoming = undefined
      if (!hasCome) return
      this.#replace(seat)
      this.#changedAtMs = this.#now()
    }
    return new Arrival(seat, { closing: this.#closing.signal, setTimer: this.#setTimer, onEnd })
  }

  /** The same model, to come again with the next request. */
  #vacate(): void {
    if (this.status.state !== 'idle') this.#replace(this.#seat(this.#current.choice, 'lazy'))
  }

  #replace(seat: ModelSeat<In, Out, Prepared>): void {
    const old = this.#current
    this.#current = seat
    const gone = old.retire().finally(() => {
      this.#leaving.delete(old)
      this.#changed()
    })
    this.#leaving.set(old, gone)
    this.#changed()
  }

  /** A request's turn to bring its model comes once nobody else's is coming and the one here has had its time. */
  async #untilItsTurn(choice: ModelChoice, holdMs: number, signal: AbortSignal): Promise<void> {
    const waitMs = this.#incoming ? 0 : this.#changedAtMs + LEAST_STAY_MS - this.#now()
    if (waitMs <= 0) return
    if (waitMs > holdMs) throw hasToStay(this.status, choice, waitMs)
    const over = within(waitMs, new Promise(() => undefined), this.#setTimer)
    await orAborted(over, AbortSignal.any([signal, this.#closing.signal]))
  }

  #changed(): void {
    this.#expireLater()
    for (const listener of this.#watchers) listener()
  }

  /** Unloads the model that sits here when its time without a request is over. */
  #expireLater(): void {
    this.#cancelExpiry?.()
    this.#cancelExpiry = undefined
    const inMs = this.#current.expiresInMs
    if (inMs === null || inMs === Infinity || this.#closing.signal.aborted) return
    this.#cancelExpiry = this.#setTimer(() => this.#expire(), Math.min(inMs, LONGEST_TIMER_MS))
  }

  #expire(): void {
    if (this.#current.expiresInMs === 0) this.#vacate()
    else this.#expireLater()
  }
}

/** Also a demo that stands in for the model that was to be there. */
const isIn = ({ choice, status }: Pick<ModelSeat<never, unknown, unknown>, 'choice' | 'status'>, wanted: ModelChoice) =>
  keyOf(choice) === keyOf(wanted) || (wanted.isDemo && status.source === 'demo')
