/**
 * One model in the place where requests look for it, with what was read of its files. The idea: a request leases the model for as long as it
 * lasts, so that what it was checked against is what answers it, and a model that has to go waits until nobody holds it.
 */
import type { ModelStatus } from './api.ts'
import { AppError } from './errors.ts'
import { keyOf, type ModelChoice } from './model-choice.ts'
import type { Model } from './model.ts'
import type { ModelFiles } from './model-store.ts'
import { orAborted, type SetTimer, within } from './waits.ts'

export type SeatModel<In, Out> = Pick<Model<In, Out>, 'status' | 'ready' | 'submit' | 'preload' | 'close'>

/** What a request works with, from its first look to its last byte. `release` ends it; a second time does nothing. */
export type ModelLease<In, Out, Prepared> = Pick<Model<In, Out>, 'ready' | 'submit' | 'status'> & {
  /** What `prepare` read of the model's files; null until they are there. */
  readonly prepared: Prepared | null
  readonly release: () => void
}

/** What its files turned out to be: of a demo that stands in, the demo's. */
export type FoundFiles = Pick<ModelFiles, 'id' | 'source'>

/** What a model tells its seat, and asks of it. */
export type SeatHooks<Prepared> = {
  onPrepared(prepared: Prepared): void
  onStatus(): void
  /** To be awaited before an engine is made of the files: until no other copy of the model is left. */
  alone(files: FoundFiles, signal: AbortSignal): Promise<void>
}

export type SeatOptions<In, Out, Prepared> = {
  choice: ModelChoice
  create: (hooks: SeatHooks<Prepared>) => SeatModel<In, Out>
  /** The end of another copy of that model; null when there is none. Throws when that one stays. */
  endOfOther: (copyOf: string) => Promise<void> | null
  keepAliveMs: number
  /** Called when the status changes, and when the last lease ends. */
  onChange: () => void
  now: () => number
  setTimer: SetTimer
}

/** Whatever still goes on after that long has lost its client's patience too. */
const RETIRE_LIMIT_MS = 600_000

export class ModelSeat<In, Out, Prepared> {
  readonly choice: ModelChoice
  readonly model: SeatModel<In, Out>
  keepAliveMs: number
  readonly #options: SeatOptions<In, Out, Prepared>
  #prepared: Prepared | null = null
  #copyOf: string | null = null
  #leases = 0
  #freeSinceMs: number
  #onFree: (() => void) | undefined

  constructor(options: SeatOptions<In, Out, Prepared>) {
    this.#options = options
    this.choice = options.choice
    this.keepAliveMs = options.keepAliveMs
    this.#freeSinceMs = options.now()
    this.model = options.create({
      onPrepared: (prepared) => (this.#prepared = prepared),
      onStatus: () => this.#changed(),
      alone: (files, signal) => this.#claim(files, signal),
    })
  }

  get status(): ModelStatus {
    return this.model.status
  }

  get prepared(): Prepared | null {
    return this.#prepared
  }

  /** Of which model an engine lives here, or is being made or ended; null when none does. */
  get copyOf(): string | null {
    return this.#copyOf
  }

  /** Until it has been unused for its time, from now; null while it is used or has nothing to unload, `Infinity` when it stays. */
  get expiresInMs(): number | null {
    if (this.#leases > 0 || this.status.state !== 'ready') return null
    return Math.max(0, this.#freeSinceMs + this.keepAliveMs - this.#options.now())
  }

  /** `holdMs`: how long the request is held while the model loads, unless the usual time. */
  lease(holdMs?: number): ModelLease<In, Out, Prepared> {
    this.#leases++
    let isOver = false
    const { model } = this
    const prepared = () => this.#prepared
    return {
      get status() {
        return model.status
      },
      get prepared() {
        return prepared()
      },
      ready: (signal) => model.ready(signal, holdMs),
      submit: (input, signal, onPiece) => model.submit(input, signal, onPiece, holdMs),
      release: () => {
        if (!isOver) this.#released()
        isOver = true
      },
    }
  }

  /** Closes the model once no request holds it. Never rejects. */
  async retire(): Promise<void> {
    const free = Promise.withResolvers<void>()
    this.#onFree = () => free.resolve()
    if (this.#leases === 0) free.resolve()
    await within(RETIRE_LIMIT_MS, free.promise, this.#options.setTimer)
    await this.model.close(
      new AppError('model_loading', `${this.status.id} was unloaded`, { retryAfterMs: 1000, param: 'model' }),
    )
  }

  /** Nothing is awaited between the last look at the others and the claim: of two that wait for the same end only one goes on. */
  async #claim({ id, source }: FoundFiles, signal: AbortSignal): Promise<void> {
    const { endOfOther } = this.#options
    const copyOf = source === 'demo' ? id : keyOf(this.choice)
    for (let end = endOfOther(copyOf); end; end = endOfOther(copyOf)) await orAborted(end, signal)
    signal.throwIfAborted()
    this.#copyOf = copyOf
  }

  #changed(): void {
    if (this.model.status.state === 'failed' || this.model.status.state === 'stopped') this.#copyOf = null
    if (this.model.status.state === 'ready') this.#freeSinceMs = this.#options.now()
    this.#options.onChange()
  }

  #released(): void {
    this.#leases--
    if (this.#leases > 0) return
    this.#freeSinceMs = this.#options.now()
    this.#onFree?.()
    this.#options.onChange()
  }
}
