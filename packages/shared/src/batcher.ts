/**
 * Batches form while the engine is busy. There is no waiting window by default: an idle engine takes what this turn of the event loop
 * brought, and whatever arrives during a run is the next batch (text-embeddings-inference's queue, as a TypeScript class).
 */
import { AppError } from './errors.ts'

export type BatchResult<Out> = { output: Out; queueMs: number; inferenceMs: number; batchSize: number }

/** Runs one batch: output i belongs to input i. `EngineThread.run` is one. */
export type BatchRun<In, Out, Piece> = (
  inputs: readonly In[],
  options: { signal: AbortSignal; onPiece(index: number, piece: Piece): void },
) => Promise<{ outputs: Out[]; inferenceMs: number }>

export type BatcherOptions<In, Out, Piece> = {
  run: BatchRun<In, Out, Piece>
  maxBatchSize: number
  maxQueueSize?: number
  /** The padded work of a batch, in any unit; a batch grows only while `cost <= maxCost` (one input always fits). */
  maxCost?: number
  cost?: (inputs: readonly In[]) => number
  /** Longest time an idle engine waits for company. 0 (default) starts at once. */
  windowMs?: number
  now?: () => number
  setTimer?: SetTimer
  onBatch?: (batch: { batchSize: number; inferenceMs: number; queueMs: readonly number[] }) => void
}

/** Calls `done` after `ms`; the returned function cancels. */
export type SetTimer = (done: () => void, ms: number) => () => void

type Entry<In, Out, Piece> = {
  /** Replaced by the copy that a failed run gives back, because a run may take the buffers away. */
  input: In
  readonly signal: AbortSignal
  readonly queuedAt: number
  readonly onPiece: ((piece: Piece) => void) | undefined
  resolve(result: BatchResult<Out>): void
  reject(reason: unknown): void
  settled: boolean
}

export const systemTimer: SetTimer = (done, ms) => {
  const timer = setTimeout(done, ms)
  return () => clearTimeout(timer)
}

export class Batcher<In, Out, Piece = never> {
  readonly #options: BatcherOptions<In, Out, Piece>
  readonly #now: () => number
  #waiting: Entry<In, Out, Piece>[] = []
  #active: readonly Entry<In, Out, Piece>[] = []
  #scheduled = false
  #cancelWindow: (() => void) | undefined
  #closed: AppError | undefined
  #idle = Promise.withResolvers<void>()
  /** Smoothed time of a batch, from which the retry time of a refusal is told. */
  #batchMs = 0

  constructor(options: BatcherOptions<In, Out, Piece>) {
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
   * Waits for a batch and its result. Rejects with `overloaded` at once when the queue is full, with `draining` after `close`, and with
   * the caller's own reason as soon as `signal` aborts: while queued it is never computed, in flight its result is dropped.
   */
  submit(input: In, signal: AbortSignal, onPiece?: (piece: Piece) => void): Promise<BatchResult<Out>> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#closed) return Promise.reject(this.#closed)
    if (this.#waiting.length >= (this.#options.maxQueueSize ?? 256)) return Promise.reject(this.#overloaded())
    const { promise, resolve, reject } = Promise.withResolvers<BatchResult<Out>>()
    const leave = () => this.#leave(entry)
    const settle =
      <T>(done: (value: T) => void) =>
      (value: T) => {
        if (entry.settled) return
        entry.settled = true
        signal.removeEventListener('abort', leave)
        done(value)
      }
    const entry: Entry<In, Out, Piece> = {
      input,
      signal,
      queuedAt: this.#now(),
      onPiece,
      resolve: settle(resolve),
      reject: settle(reject),
      settled: false,
    }
    signal.addEventListener('abort', leave, { once: true })
    this.#waiting.push(entry)
    this.#schedule()
    return promise
  }

  /** Refuses what waits and what comes (`draining`), and resolves when the running batch has ended. */
  async close(error = new AppError('draining', 'the service is shutting down', { retryAfterMs: 1000 })): Promise<void> {
    this.#closed ??= error
    this.#cancelWindow?.()
    for (const entry of this.#waiting.splice(0)) entry.reject(this.#closed)
    await this.#idle.promise
  }

  /** Queue time a newcomer would see, from how long batches have taken lately. */
  #overloaded(): AppError {
    const batches = Math.ceil(this.#waiting.length / this.#options.maxBatchSize)
    const retryAfterMs = Math.max(100, Math.round(batches * this.#batchMs))
    const state = `${this.#waiting.length} waiting, ${this.#active.length} running`
    return new AppError('overloaded', `the queue is full (${state})`, { retryAfterMs })
  }

  #leave(entry: Entry<In, Out, Piece>): void {
    this.#waiting = this.#waiting.filter((other) => other !== entry)
    entry.reject(entry.signal.reason)
  }

  /** One look at the queue per event-loop turn, so that arrivals of one turn share a batch. */
  #schedule(): void {
    if (this.#scheduled || this.#active.length > 0) return
    if (this.#cancelWindow) return void (this.#isFull() && this.#start())
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.#active.length > 0 || this.#waiting.length === 0) return
      if (!this.#options.windowMs || this.#isFull()) return this.#start()
      const setTimer = this.#options.setTimer ?? systemTimer
      this.#cancelWindow ??= setTimer(() => this.#start(), this.#options.windowMs)
    })
  }

  #isFull(): boolean {
    return this.#waiting.length >= this.#options.maxBatchSize
  }

  #start(): void {
    this.#cancelWindow?.()
    this.#cancelWindow = undefined
    const batch = this.#take()
    if (batch.length === 0) return
    this.#active = batch
    this.#idle = Promise.withResolvers<void>()
    void this.#runBatch(batch).finally(() => {
      this.#active = []
      this.#idle.resolve()
      if (this.#waiting.length > 0) this.#start()
    })
  }

  /** The longest run of waiting entries, first come first served, that fits both limits. */
  #take(): Entry<In, Out, Piece>[] {
    const { maxBatchSize, maxCost = Infinity, cost = () => 0 } = this.#options
    let count = Math.min(maxBatchSize, this.#waiting.length)
    const inputs = this.#waiting.slice(0, count).map((entry) => entry.input)
    while (count > 1 && cost(inputs.slice(0, count)) > maxCost) count--
    return this.#waiting.splice(0, count)
  }

  async #runBatch(batch: readonly Entry<In, Out, Piece>[]): Promise<void> {
    try {
      await this.#attempt(batch)
    } catch (error) {
      if (batch.length === 1 || isCrash(error)) for (const entry of batch) entry.reject(error)
      else await this.#oneByOne(batch)
    }
  }

  /** A failed batch is tried once more row by row: the row at fault fails alone. */
  async #oneByOne(batch: readonly Entry<In, Out, Piece>[]): Promise<void> {
    for (const entry of batch) {
      if (entry.settled) continue
      await this.#attempt([entry]).catch((error: unknown) => entry.reject(error))
    }
  }

  async #attempt(batch: readonly Entry<In, Out, Piece>[]): Promise<void> {
    const startedAt = this.#now()
    const inputs = batch.map((entry) => entry.input)
    const onPiece = (index: number, piece: Piece) => {
      const entry = batch[index]
      if (entry && !entry.settled) entry.onPiece?.(piece)
    }
    const leaving = whenAllAborted(batch.map((entry) => entry.signal))
    try {
      const { outputs, inferenceMs } = await this.#options.run(inputs, { signal: leaving.signal, onPiece })
      this.#deliver(batch, outputs, inferenceMs, startedAt)
    } catch (error) {
      batch.forEach((entry, index) => (entry.input = inputs[index] ?? entry.input))
      throw error
    } finally {
      leaving.stop()
    }
  }

  #deliver(batch: readonly Entry<In, Out, Piece>[], outputs: Out[], inferenceMs: number, startedAt: number): void {
    if (outputs.length !== batch.length)
      throw new AppError('engine_failed', `this is a bug: ${batch.length} inputs gave ${outputs.length} outputs`)
    const spentMs = this.#now() - startedAt
    this.#batchMs = this.#batchMs === 0 ? spentMs : 0.8 * this.#batchMs + 0.2 * spentMs
    const queueMs = batch.map((entry) => startedAt - entry.queuedAt)
    this.#options.onBatch?.({ batchSize: batch.length, inferenceMs, queueMs })
    outputs.forEach((output, index) =>
      batch[index]?.resolve({ output, queueMs: queueMs[index] ?? 0, inferenceMs, batchSize: batch.length }),
    )
  }
}

const isCrash = (error: unknown): boolean => error instanceof AppError && error.details['crashed'] === true

/** A signal that aborts when every one of `signals` has, and the way to stop listening. */
function whenAllAborted(signals: readonly AbortSignal[]): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController()
  const check = () => {
    if (signals.every((signal) => signal.aborted)) controller.abort(signals.at(-1)?.reason)
  }
  for (const signal of signals) signal.addEventListener('abort', check)
  return {
    signal: controller.signal,
    stop: () => signals.forEach((signal) => signal.removeEventListener('abort', check)),
  }
}
