/**
 * One engine in one worker thread, seen from the thread that serves HTTP (text-embeddings-inference's `BackendThread`). onnxruntime-node
 * blocks its thread for the whole inference, so this is not an optimisation: without it no health answer, no socket, no abort gets through.
 */
import { Worker } from 'node:worker_threads'
import type { FromWorker, ToWorker, WorkerStart } from './engine-protocol.ts'
import { transferables } from './engine-protocol.ts'
import { AppError } from './errors.ts'

export type EngineThreadOptions = {
  /** The file that exports `createEngine`. */
  readonly module: URL
  /** Plain data for `createEngine`: it crosses the thread border. */
  readonly options: unknown
  readonly name: string
  /** How long `close` waits for the engine before the thread is ended anyway. */
  readonly closeMs?: number
}

export type Loaded = { maxBatchSize: number; loadMs: number }
export type Warmed = { firstInferenceMs: number; secondInferenceMs: number }
export type RunResult<Out> = { outputs: Out[]; inferenceMs: number }
export type RunOptions<Piece> = { signal: AbortSignal; onPiece(index: number, piece: Piece): void }

type StageAnswer = Extract<FromWorker<unknown, unknown, unknown>, { type: 'loaded' | 'warmed' }>
type Call<T> = { resolve(value: T): void; reject(error: unknown): void }
type RunCall<In, Out, Piece> = Call<RunResult<Out>> & { onPiece(index: number, piece: Piece): void; inputs: In[] }

export class EngineThread<In, Out, Piece = never> {
  /** Resolves when the thread ends without having been asked to; never rejects. */
  readonly crashed: Promise<AppError>
  readonly #worker: Worker
  readonly #name: string
  readonly #closeMs: number
  readonly #runs = new Map<number, RunCall<In, Out, Piece>>()
  readonly #exited = Promise.withResolvers<void>()
  #stage: Call<StageAnswer> | undefined
  #nextId = 0
  #crash: AppError | undefined
  #closing: Promise<void> | undefined
  #closed = Promise.withResolvers<void>()

  constructor(options: EngineThreadOptions) {
    this.#name = options.name
    this.#closeMs = options.closeMs ?? 2000
    const workerData: WorkerStart = { module: options.module.href, options: options.options }
    this.#worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData, name: options.name })
    const crashed = Promise.withResolvers<AppError>()
    this.crashed = crashed.promise
    let cause: unknown
    this.#worker.on('message', (message: FromWorker<In, Out, Piece>) => this.#receive(message))
    this.#worker.on('error', (error) => (cause = error))
    this.#worker.on('exit', (code) => {
      this.#exited.resolve()
      if (this.#closing) return this.#abandon(new AppError('draining', `the engine ${this.#name} was closed`))
      this.#crash = new AppError('engine_failed', `the engine ${this.#name} ended unexpectedly (exit code ${code})`, {
        cause,
        details: { crashed: true },
      })
      this.#abandon(this.#crash)
      crashed.resolve(this.#crash)
    })
  }

  /** Reads the weights. Rejects with what the engine threw, or with the crash. */
  async load(signal: AbortSignal): Promise<Loaded> {
    const answer = await this.#ask({ type: 'load' }, signal)
    if (answer.type !== 'loaded') throw new Error(`this is a bug: ${answer.type} answered load`)
    return answer
  }

  /** Runs the engine's warm-up inputs; gives milliseconds of the first and second inference. */
  async warm(signal: AbortSignal): Promise<Warmed> {
    const answer = await this.#ask({ type: 'warm' }, signal)
    if (answer.type !== 'warmed') throw new Error(`this is a bug: ${answer.type} answered warm`)
    return answer
  }

  /**
   * Runs one batch. The inputs' buffers are transferred: after this call the caller's arrays are empty, until a failed run gives them back
   * (`inputs` is refilled in place). Aborting tells the engine, which may stop between steps; the promise settles when it has.
   */
  run(inputs: readonly In[], { signal, onPiece }: RunOptions<Piece>): Promise<RunResult<Out>> {
    if (this.#crash) return Promise.reject(this.#crash)
    const id = this.#nextId++
    const { promise, resolve, reject } = Promise.withResolvers<RunResult<Out>>()
    this.#runs.set(id, { resolve, reject, onPiece, inputs: inputs as In[] })
    const abort = () => this.#post({ type: 'abort', id })
    this.#post({ type: 'run', id, inputs })
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    return promise.finally(() => signal.removeEventListener('abort', abort))
  }

  /** Closes the engine and ends its thread, within a limit even if it hangs. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#post({ type: 'close' })
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, this.#closeMs)
    await Promise.race([this.#closed.promise, this.#exited.promise, late])
    clearTimeout(timer)
    await this.#worker.terminate()
  }

  #post(message: ToWorker<In>): void {
    this.#worker.postMessage(message, transferables(message))
  }

  async #ask(message: ToWorker<In>, signal: AbortSignal): Promise<StageAnswer> {
    signal.throwIfAborted()
    if (this.#crash) throw this.#crash
    const { promise, resolve, reject } = Promise.withResolvers<StageAnswer>()
    this.#stage = { resolve, reject }
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#post(message)
    return promise.finally(() => signal.removeEventListener('abort', abort))
  }

  #receive(message: FromWorker<In, Out, Piece>): void {
    switch (message.type) {
      case 'loaded':
      case 'warmed':
        return this.#stage?.resolve(message)
      case 'piece':
        return this.#runs.get(message.id)?.onPiece(message.index, message.piece)
      case 'result':
        return this.#finish(message.id)?.resolve({ outputs: message.outputs, inferenceMs: message.inferenceMs })
      case 'failed':
        return this.#fail(message)
      case 'closed':
        return this.#closed.resolve()
    }
  }

  #fail(message: Extract<FromWorker<In, Out, Piece>, { type: 'failed' }>): void {
    const error = new AppError('engine_failed', `the engine ${this.#name} failed`, {
      cause: new Error(message.message),
    })
    if (message.id === null) return this.#stage?.reject(error)
    const call = this.#finish(message.id)
    call?.inputs.splice(0, Infinity, ...message.inputs)
    call?.reject(error)
  }

  #finish(id: number): RunCall<In, Out, Piece> | undefined {
    const call = this.#runs.get(id)
    this.#runs.delete(id)
    return call
  }

  #abandon(error: AppError): void {
    this.#stage?.reject(error)
    for (const call of this.#runs.values()) call.reject(error)
    this.#runs.clear()
  }
}
