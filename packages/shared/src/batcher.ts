/**
 * Batches form while the engine is busy. There is no waiting window by default: an idle engine takes what this turn of the event loop
 * brought, and whatever arrives during a run is the next batch (text-embeddings-inference's queue, as a TypeScript class).
 */
import { BatchEntry, type BatchResult, whenAllAborted } from './batch-entry.ts'
import { chooseBatch } from './batch-choice.ts'
import { AppError } from './errors.ts'
import { type SetTimer, systemTimer } from './waits.ts'

export type { BatchResult } from './batch-entry.ts'

/** Runs one batch: output i belongs to input i. `EngineThread.run` is one. A run that emptied its inputs and failed gives them back. */
export type BatchRun<In, Out, Piece> = (
  inputs: readonly In[],
  options: {
    signal: AbortSignal
    onPiece(index: number, piece: Piece): void
    giveBack(inputs: readonly In[]): void
  },
) => Promise<{ outputs: Out[]; inferenceMs: number }>

export type BatcherOptions<In, Out, Piece> = {
  run: BatchRun<In, Out, Piece>
  maxBatchSize: number
  /** Entries that may wait, besides the running batch. 256 unless told. */
  maxQueueSize?: number
  /** The padded work of a batch, in any unit; a batch grows only while `cost <= maxCost` (one input always fits). */
  maxCost?: number
  cost?: (inputs: readonly In[]) => number
  /**
   * How much more a batch may cost than its inputs do one by one. With it, when not all that wait fit together, inputs of like cost share a
   * batch with the oldest one: nobody pays for a much longer neighbour. Without it, first come first served.
   */
  maxPadding?: number
  /** Longest time the oldest entry waits for company at an idle engine. 0 (default) starts at once. */
  windowMs?: number
  /** Batches begin so far apart at least, unless they are full: of many small inputs each pays for its run otherwise. 0 (default) is at will. */
  paceMs?: number
  now?: () => number
  setTimer?: SetTimer
  onBatch?: (batch: { batchSize: number; inferenceMs: number; queueMs: readonly number[] }) => void
}

export const MAX_QUEUE_SIZE = 256
/** OpenAI's clients take longer hints for nonsense. */
const LONGEST_RETRY_MS = 60_000

export class Batcher<In, Out, Piece = never> {
  readonly #options: BatcherOptions<In, Out, Piece>
  readonly #now: () => number
  #waiting: BatchEntry<In, Out, Piece>[] = []
  #active: readonly BatchEntry<In, Out, Piece>[] = []
  #activeSince = -Infinity
  #scheduled = false
  #cancelWindow: (() => void) | undefined
  #closed: AppError | undefined
  #idle = Promise.withResolvers<void>()
  /** Smoothed time of a batch, from which the retry time of a refusal is told. */
  #batchMs = 0

  constructor(options: BatcherOptions<In, Out, Piece>) {
    if (!(options.maxBatchSize >= 1))
      throw new AppError('internal_error', `this is a bug: a batch of at most ${options.maxBatchSize} inputs`)
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#idle.resolve()
  }

  get queued(): number {
    return this.#waiting.length
  }

  get running(): number {
    return this.#active.length
  }

  /**
   * Waits for a batch and its result; the input's buffers are given away. Rejects with `overloaded` at once when the queue is full, with
   * `draining` after `close`, and with the caller's own reason as soon as `signal` aborts: while queued it is never computed, in flight its
   * result is dropped. `onPiece` must not throw; if it does, the caller gets that error and the others go on.
   */
  submit(input: In, signal: AbortSignal, onPiece?: (piece: Piece) => void): Promise<BatchResult<Out>> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#closed) return Promise.reject(this.#closed)
    if (this.#waiting.length >= (this.#options.maxQueueSize ?? MAX_QUEUE_SIZE))
      return Promise.reject(this.#overloaded())
    const entry = new BatchEntry<In, Out, Piece>({
      input,
      signal,
      queuedAt: this.#now(),
      onPiece,
      onLeave: () => (this.#waiting = this.#waiting.filter((other) => other !== entry)),
    })
    this.#waiting.push(entry)
    this.#schedule()
    return entry.result
  }

  /** Refuses what waits and what comes (`draining`), and resolves when the running batch has ended. */
  async close(error = new AppError('draining', 'the service is shutting down', { retryAfterMs: 1000 })): Promise<void> {
    this.#closed ??= error
    this.#stopWindow()
    for (const entry of this.#waiting.splice(0)) entry.reject(this.#closed)
    await this.#idle.promise
  }

  /** The time until today's queue is done, from how long batches have taken lately and how long this one has. */
  #overloaded(): AppError {
    const { length } = this.#waiting
    const runningMs = this.#active.length > 0 ? this.#now() - this.#activeSince : 0
    const queueMs = Math.ceil(length / this.#options.maxBatchSize) * Math.max(this.#batchMs, runningMs)
    const retryAfterMs = Math.min(LONGEST_RETRY_MS, Math.max(100, Math.round(queueMs)))
    const message = `the queue is full (${length} waiting, ${this.#active.length} running)`
    return new AppError('overloaded', message, { retryAfterMs })
  }

  /** One look at the queue per event-loop turn, so that arrivals of one turn share a batch. */
  #schedule(): void {
    if (this.#scheduled || this.#active.length > 0 || this.#waiting.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#startOrWait()
    })
  }

  #startOrWait(): void {
    const [oldest] = this.#waiting
    if (!oldest || this.#active.length > 0) return
    const { windowMs = 0, paceMs = 0, setTimer = systemTimer } = this.#options
    const waitMs = Math.max(oldest.queuedAt + windowMs, this.#activeSince + paceMs) - this.#now()
    if (waitMs <= 0 || this.#isFull()) return this.#start()
    this.#cancelWindow ??= setTimer(() => this.#start(), waitMs)
  }

  #stopWindow(): void {
    this.#cancelWindow?.()
    this.#cancelWindow = undefined
  }

  #isFull(): boolean {
    const { length } = this.#waiting
    return length >= this.#options.maxBatchSize || this.#nextBatch().length < length
  }

  #start(): void {
    this.#stopWindow()
    const batch = this.#nextBatch()
    if (batch.length === 0) return
    const taken = new Set(batch)
    this.#waiting = this.#waiting.filter((entry) => !taken.has(entry))
    this.#active = batch
    this.#activeSince = this.#now()
    this.#idle = Promise.withResolvers<void>()
    void this.#runBatch(batch).finally(() => {
      this.#active = []
      this.#idle.resolve()
      this.#schedule()
    })
  }

  /** The oldest entry, and the waiting ones that share a batch with it within the limits. */
  #nextBatch(): readonly BatchEntry<In, Out, Piece>[] {
    const limits = { maxCost: Infinity, cost: () => 0, ...this.#options }
    return chooseBatch(this.#waiting, ({ input }) => input, limits)
  }

  async #runBatch(batch: readonly BatchEntry<In, Out, Piece>[]): Promise<void> {
    try {
      await this.#attempt(batch)
    } catch (error) {
      if (batch.length === 1 || isCrash(error)) for (const entry of batch) entry.reject(error)
      else await this.#oneByOne(batch)
    }
  }

  /** A failed batch is tried once more row by row: the row at fault fails alone. A crash ends this too: nothing is left to run on. */
  async #oneByOne(batch: readonly BatchEntry<In, Out, Piece>[]): Promise<void> {
    for (const entry of batch) {
      if (entry.settled) continue
      await this.#attempt([entry]).catch((error: unknown) => entry.reject(error))
    }
  }

  async #attempt(batch: readonly BatchEntry<In, Out, Piece>[]): Promise<void> {
    const startedAt = this.#now()
    const takers = batch.map((entry) => entry.pieceTaker())
    const leaving = whenAllAborted(batch.map((entry) => entry.signal))
    try {
      const { outputs, inferenceMs } = await this.#options.run(
        batch.map((entry) => entry.input),
        {
          signal: leaving.signal,
          onPiece: (index, piece) => takers[index]?.(piece),
          giveBack: (inputs) => refill(batch, inputs),
        },
      )
      this.#deliver(batch, outputs, inferenceMs, startedAt)
    } finally {
      leaving.stop()
    }
  }

  #deliver(
    batch: readonly BatchEntry<In, Out, Piece>[],
    outputs: readonly Out[],
    inferenceMs: number,
    startedAt: number,
  ): void {
    if (outputs.length !== batch.length)
      throw new AppError('engine_failed', `this is a bug: ${batch.length} inputs gave ${outputs.length} outputs`)
    const spentMs = this.#now() - startedAt
    this.#batchMs = this.#batchMs === 0 ? spentMs : 0.8 * this.#batchMs + 0.2 * spentMs
    const queueMs = batch.map((entry) => startedAt - entry.queuedAt)
    outputs.forEach((output, index) =>
      batch[index]?.resolve({ output, queueMs: queueMs[index] ?? 0, inferenceMs, batchSize: batch.length }),
    )
    this.#options.onBatch?.({ batchSize: batch.length, inferenceMs, queueMs })
  }
}

const isCrash = (error: unknown): boolean => error instanceof AppError && error.details['crashed'] === true

/** An input that did not come back was emptied for good: a second try would run on nothing, and succeed. */
function refill<In, Out, Piece>(batch: readonly BatchEntry<In, Out, Piece>[], inputs: readonly In[]): void {
  batch.forEach((entry, index) => {
    const input = inputs[index]
    if (input !== undefined) entry.input = input
    else entry.reject(new AppError('engine_failed', 'the engine failed, and what it was to work on is gone'))
  })
}
