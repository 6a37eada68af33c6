/**
 * The one place of a service where its model sits, as requests and those who run the service see it: who may have which model, how long they wait
 * for it, and when it goes. Where the models are meanwhile is a matter of the seats (model-seats.ts).
 */
import { type BatchResult, MAX_QUEUE_SIZE } from './batcher.ts'
import type { ModelStatus } from './api.ts'
import { AppError } from './errors.ts'
import { IdleTimer } from './idle-timer.ts'
import { type ModelChoice, type ModelChoices } from './model-choice.ts'
import type { ModelLease } from './model-seat.ts'
import { ModelSeats, type SeatsOptions } from './model-seats.ts'
import type { FetchProgress } from './model-status.ts'
import { SlotTurns } from './slot-turns.ts'
import { type SetTimer, systemTimer } from './waits.ts'

/** `create` makes a model that is not started yet. A `replacement` has no stand-in: it comes as what it is asked for, or fails. */
export type SlotOptions<In, Out, Prepared> = Pick<SeatsOptions<In, Out, Prepared>, 'create' | 'preload'> & {
  choices: ModelChoices
  /** Brings a model's files into the cache. */
  pull: (choice: ModelChoice, onProgress: (progress: FetchProgress) => void, signal: AbortSignal) => Promise<unknown>
  /** How long an unused model stays; for ever unless told. */
  keepAliveMs?: number
  /** How long a request waits for its model; 120 s unless told. */
  coldHoldMs?: number
  /** How many requests may wait for another model; as many as for one that sits here, 256 unless told. */
  maxQueueSize?: number
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

export class ModelSlot<In, Out, Prepared> {
  readonly choices: ModelChoices
  readonly #options: SlotOptions<In, Out, Prepared>
  readonly #now: () => number
  readonly #closing = new AbortController()
  readonly #watchers = new Set<() => void>()
  readonly #seats: ModelSeats<In, Out, Prepared>
  readonly #turns: SlotTurns<In, Out, Prepared>
  readonly #expiry: IdleTimer
  #ownRequest: Promise<unknown> | null = null

  constructor(options: SlotOptions<In, Out, Prepared>) {
    const { choices, keepAliveMs = Infinity, maxQueueSize = MAX_QUEUE_SIZE } = options
    const { now = () => performance.now(), setTimer = systemTimer } = options
    this.#options = options
    this.choices = choices
    this.#now = now
    const { signal: closing } = this.#closing
    const { create, preload } = options
    const onChange = () => this.#changed()
    const configured = choices.configured
    this.#seats = new ModelSeats({ configured, preload, create, keepAliveMs, now, setTimer, closing, onChange })
    this.#turns = new SlotTurns(this.#seats, { closing, setTimer, maxQueueSize })
    const leftMs = () => (closing.aborted || this.#ownRequest ? null : this.#seats.current.expiresInMs)
    this.#expiry = new IdleTimer({ leftMs, onIdle: () => this.#seats.vacate(), setTimer })
  }

  get status(): ModelStatus {
    return this.#seats.current.status
  }

  get prepared(): Prepared | null {
    return this.#seats.current.prepared
  }

  /** Which one sits here. */
  get choice(): ModelChoice {
    return this.#seats.current.choice
  }

  /** Begins loading, unless the policy leaves that to the first request. */
  preload(): void {
    this.#seats.current.model.preload()
  }

  /** Waits for the model that sits here; as `Model.ready`. */
  ready(signal: AbortSignal): Promise<void> {
    return this.#seats.current.model.ready(signal)
  }

  /** One input through the model that sits here now; as `Model.submit`. */
  async submit(input: In, signal: AbortSignal): Promise<BatchResult<Out> & { model: string }> {
    const lease = this.#lease()
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
    const leftMs = this.#countdown(holdMs)
    if (choice?.mayTakeTurns && !this.#seats.isCurrent(choice)) await this.#turns.take(choice, leftMs, signal)
    return this.#lease(leftMs())
  }

  /**
   * Brings `choice` beside the model that sits here, warms it, and lets it take the place: requests in flight end where they began. Loads the
   * one that sits here when it is that, and not a demo that stands in for it. Rejects as `lease` does; what has begun goes on behind a caller that stops waiting.
   */
  async load(choice: ModelChoice, signal: AbortSignal, holdMs?: number): Promise<void> {
    const isStoodInFor = !choice.isDemo && this.status.source === 'demo'
    const leftMs = this.#countdown(holdMs)
    if (this.#seats.isCurrent(choice) && !isStoodInFor) await this.#seats.current.model.ready(signal, leftMs())
    else await this.#turns.bring(choice, leftMs, signal)
  }

  /** Ends `choice` where it is loaded or coming, after the requests that hold it; it comes again with the next request. Rejects with `draining`. */
  async unload(choice: ModelChoice): Promise<void> {
    if (this.#ownRequest) await this.#ownRequest
    this.#closing.signal.throwIfAborted()
    if (this.#seats.isIncoming(choice)) this.#seats.sendAway()
    if (this.#seats.isCurrent(choice)) this.#seats.vacate()
    await this.#seats.gone(choice)
  }

  /** For a request that the service sends to itself, one at a time: until it is answered nothing is unloaded, or it would bring that back. */
  async askItself<T>(send: () => Promise<T>): Promise<T> {
    const answer = send()
    this.#ownRequest = answer.then(
      () => undefined,
      () => undefined,
    )
    return answer.finally(() => {
      this.#ownRequest = null
      this.#expiry.restart()
    })
  }

  /** Brings the files of `choice` into the cache, without loading it. Rejects as `fetchModel` does, or with `draining`. */
  async pull(choice: ModelChoice, onProgress: (progress: FetchProgress) => void, signal: AbortSignal): Promise<void> {
    await this.#options.pull(choice, onProgress, AbortSignal.any([signal, this.#closing.signal]))
  }

  /** How long the model that sits here stays unused; until it goes. */
  keepAlive(ms: number): void {
    this.#seats.current.keepAliveMs = ms
    this.#expiry.restart()
  }

  /** Every model that takes memory: the one that sits here first. */
  get loaded(): readonly Loaded<Prepared>[] {
    return this.#seats.all
      .filter(({ status }) => status.state !== 'idle' && status.state !== 'stopped')
      .map(({ choice, status, prepared, expiresInMs }) => ({ choice, status, prepared, expiresInMs }))
  }

  /** How far `choice` is, wherever it is; `idle` when nowhere. */
  statusOf(choice: ModelChoice): ModelStatus {
    return this.#seats.statusOf(choice)
  }

  /** Calls `listener` at each change of any model's status, until the returned function is called. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }

  /** The service stops: what still comes is given up at once, and who waits for it told so. What is ready serves those it has. */
  drain(): void {
    this.#closing.abort(new AppError('draining', 'the service is shutting down', { retryAfterMs: 1000 }))
    this.#expiry.stop()
    for (const { model, status } of this.#seats.all) if (status.state !== 'ready') void model.close()
  }

  /** Ends every model. Within limits; never rejects. */
  async close(): Promise<void> {
    this.drain()
    await Promise.all(this.#seats.all.map(({ model }) => model.close()))
  }

  /** What is left of the time that a request is held: of what it wishes, never more than the usual time. */
  #countdown(wantedMs = Infinity): () => number {
    const untilMs = this.#now() + Math.min(wantedMs, this.#options.coldHoldMs ?? 120_000)
    return () => Math.max(0, untilMs - this.#now())
  }

  #lease(holdMs?: number): ModelLease<In, Out, Prepared> {
    const lease = this.#seats.current.lease(holdMs)
    this.#expiry.restart()
    return lease
  }

  #changed(): void {
    this.#expiry.restart()
    for (const listener of this.#watchers) listener()
  }
}
