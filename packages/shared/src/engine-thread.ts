/**
 * One engine in one worker thread, seen from the thread that serves HTTP (text-embeddings-inference's `BackendThread`). onnxruntime-node
 * blocks its thread for the whole inference, so this is not an optimisation: without it no health answer, no socket, no abort gets through.
 */
import { type ResourceLimits, Worker } from 'node:worker_threads'
import {
  type EngineFailure,
  type FromWorker,
  type ToWorker,
  transferables,
  type WorkerStart,
} from './engine-protocol.ts'
import { AppError } from './errors.ts'
import { within } from './waits.ts'

export type EngineThreadOptions = {
  /** The file that exports `createEngine`. */
  readonly module: URL
  /** Plain data for `createEngine`: it crosses the thread border. */
  readonly options: unknown
  readonly name: string
  /** How long `close` waits for the engine, and then for its thread. 2 s unless told. */
  readonly closeMs?: number
  /** How long a run may go on after its abort before the thread counts as stuck and is ended. 60 s unless told. */
  readonly stuckMs?: number
  /** From which time for its short input on an engine is slow, and warmed without its other shapes. 250 ms unless told. */
  readonly slowMs?: number
  readonly resourceLimits?: ResourceLimits
}

/** How long a load or warm-up that nobody wants any more may take to end by itself. */
const STAGE_END_MS = 15_000

/** What is cold around an inference costs tens of milliseconds: below a tenth of so long a one nobody feels it (docs/decisions/0020). */
export const SLOW_INFERENCE_MS = 250

export type Loaded = { maxBatchSize: number; loadMs: number }
export type RunResult<Out> = { outputs: Out[]; inferenceMs: number }
export type RunOptions<In, Piece> = {
  signal: AbortSignal
  onPiece(index: number, piece: Piece): void
  /** A failed run's inputs, in order: the caller's own were emptied when their buffers were transferred. */
  giveBack?(inputs: readonly In[]): void
}

type StageAnswer = Extract<FromWorker<unknown, unknown, unknown>, { type: 'loaded' | 'warmed' }>
type Call<T> = { resolve(value: T): void; reject(error: unknown): void }
type RunCall<In, Out, Piece> = Call<RunResult<Out>> & RunOptions<In, Piece>

export class EngineThread<In, Out, Piece = never> {
  /** Resolves when the thread ends without having been asked to; never rejects. */
  readonly crashed: Promise<AppError>
  readonly #options: EngineThreadOptions
  readonly #worker: Worker
  readonly #runs = new Map<number, RunCall<In, Out, Piece>>()
  readonly #crashed = Promise.withResolvers<AppError>()
  readonly #closed = Promise.withResolvers<void>()
  #stage: Call<StageAnswer> | undefined
  #nextId = 0
  /** Why the thread takes no more work. */
  #end: AppError | undefined
  #deathCause: unknown
  #closing: Promise<void> | undefined
  /** Also after a failed load, parts of which may go on. Native code that makes a session must not be cut short: onnxruntime-node ends the process. */
  #isInStage = false

  constructor(options: EngineThreadOptions) {
    this.#options = options
    this.crashed = this.#crashed.promise
    const { name, resourceLimits = {}, slowMs = SLOW_INFERENCE_MS } = options
    const workerData: WorkerStart = { module: options.module.href, options: options.options, slowMs }
    this.#worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData, name, resourceLimits })
    this.#worker.on('message', (message: FromWorker<In, Out, Piece>) => this.#receive(message))
    this.#worker.on('error', (error) => (this.#deathCause = error))
    this.#worker.on('messageerror', (error) => this.#kill(error))
    this.#worker.on('exit', (code) => this.#exited(code))
  }

  /** Reads the weights. Rejects with `engine_failed`, or with the signal's reason: then the thread is only good for `close`. */
  async load(signal: AbortSignal): Promise<Loaded> {
    const answer = await this.#ask({ type: 'load' }, signal)
    if (answer.type !== 'loaded') throw new Error(`this is a bug: ${answer.type} answered load`)
    return { maxBatchSize: answer.maxBatchSize, loadMs: answer.loadMs }
  }

  /**
   * The next part of the engine's warm-up, and its milliseconds; null when there is none left. The first two are the first and the second
   * inference of its short input. What fails is left out with all that would follow. Rejects as `load` does.
   */
  async warm(signal: AbortSignal): Promise<number | null> {
    const answer = await this.#ask({ type: 'warm' }, signal)
    if (answer.type !== 'warmed') throw new Error(`this is a bug: ${answer.type} answered warm`)
    return answer.ms
  }

  /**
   * Runs one batch. Buffers that the inputs own are transferred: the caller's arrays are empty afterwards, and a failed run hands the
   * inputs to `giveBack`. Aborting tells the engine, which may stop between steps; the promise settles when it has. Rejects with
   * `engine_failed`; `details.crashed` tells that the thread died.
   */
  async run(inputs: readonly In[], options: RunOptions<In, Piece>): Promise<RunResult<Out>> {
    const { signal } = options
    signal.throwIfAborted()
    if (this.#end) throw this.#end
    const id = this.#nextId++
    this.#post({ type: 'run', id, inputs })
    const { promise, resolve, reject } = Promise.withResolvers<RunResult<Out>>()
    this.#runs.set(id, { resolve, reject, ...options })
    let stuck: NodeJS.Timeout | undefined
    const abort = () => {
      this.#post({ type: 'abort', id })
      stuck = this.#killIfStuck()
    }
    signal.addEventListener('abort', abort, { once: true })
    return promise.finally(() => {
      clearTimeout(stuck)
      signal.removeEventListener('abort', abort)
    })
  }

  /** Closes the engine and ends its thread, within a limit even if it hangs. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { name, closeMs = 2000 } = this.#options
    const stageEndMs = this.#isInStage ? STAGE_END_MS : 0
    this.#end ??= new AppError('draining', `the engine ${name} was closed`, { retryAfterMs: 1000 })
    this.#post({ type: 'close' })
    await within(Math.max(closeMs, stageEndMs), this.#closed.promise)
    // A thread inside native code ends only when that returns.
    await within(closeMs, this.#worker.terminate())
    this.#abandon(this.#end)
  }

  #post(message: ToWorker<In>): void {
    this.#worker.postMessage(message, transferables(message))
  }

  async #ask(message: ToWorker<In>, signal: AbortSignal): Promise<StageAnswer> {
    signal.throwIfAborted()
    if (this.#end) throw this.#end
    if (this.#stage) throw new Error(`this is a bug: ${message.type} while another stage goes on`)
    const { promise, resolve, reject } = Promise.withResolvers<StageAnswer>()
    this.#stage = { resolve, reject }
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#isInStage = true
    this.#post(message)
    return promise.finally(() => {
      this.#stage = undefined
      signal.removeEventListener('abort', abort)
    })
  }

  #receive(message: FromWorker<In, Out, Piece>): void {
    switch (message.type) {
      case 'loaded':
      case 'warmed':
        this.#isInStage = false
        return this.#stage?.resolve(message)
      case 'piece':
        return this.#runs.get(message.id)?.onPiece(message.index, message.piece)
      case 'result':
        return this.#take(message.id)?.resolve({ outputs: message.outputs, inferenceMs: message.inferenceMs })
      case 'failed':
        return this.#failed(message)
      case 'closed':
        return this.#closed.resolve()
    }
  }

  #failed({ id, message, stack, inputs }: EngineFailure<In>): void {
    const cause = Object.assign(new Error(message), { stack })
    const error = new AppError('engine_failed', `the engine ${this.#options.name} failed`, { cause })
    if (id === null) return this.#stage?.reject(error)
    const call = this.#take(id)
    call?.giveBack?.(inputs)
    call?.reject(error)
  }

  #take(id: number): RunCall<In, Out, Piece> | undefined {
    const call = this.#runs.get(id)
    this.#runs.delete(id)
    return call
  }

  #killIfStuck(): NodeJS.Timeout {
    const { stuckMs = 60_000 } = this.#options
    return setTimeout(() => this.#kill(new Error(`no end within ${stuckMs} ms of the abort`)), stuckMs)
  }

  #kill(cause: Error): void {
    this.#deathCause = cause
    void this.#worker.terminate()
  }

  #exited(code: number): void {
    this.#closed.resolve()
    if (this.#closing) return
    const message = `the engine ${this.#options.name} ended unexpectedly (exit code ${code})`
    this.#end = new AppError('engine_failed', message, { cause: this.#deathCause, details: { crashed: true } })
    this.#abandon(this.#end)
    this.#crashed.resolve(this.#end)
  }

  #abandon(error: AppError): void {
    this.#stage?.reject(error)
    for (const call of this.#runs.values()) call.reject(error)
    this.#runs.clear()
  }
}
