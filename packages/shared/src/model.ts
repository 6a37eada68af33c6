/**
 * One model's life: fetched, loaded and warmed once, then shared by every request until it is closed. Requests that come early are held, a
 * crashed engine is loaded again by itself, and every change of state goes through one function.
 */
import type { ModelStatus } from './api.ts'
import { Batcher, type BatcherOptions, type BatchResult, type SetTimer, systemTimer } from './batcher.ts'
import type { EngineThread } from './engine-thread.ts'
import { AppError, toAppError } from './errors.ts'
import type { ModelFiles } from './model-store.ts'
import type { Log, Metrics } from './telemetry.ts'

type State = ModelStatus['state']

const NEXT: Readonly<Record<State, readonly State[]>> = {
  idle: ['fetching', 'draining'],
  fetching: ['loading', 'failed', 'draining'],
  loading: ['warming', 'failed', 'draining'],
  warming: ['ready', 'failed', 'draining'],
  ready: ['failed', 'draining'],
  failed: ['fetching', 'draining'],
  draining: ['stopped'],
  stopped: [],
}

const BACK_OFF_MS = { first: 100, longest: 30_000 } as const

export type ModelOptions<In, Out, Piece> = Pick<
  BatcherOptions<In, Out, Piece>,
  'maxBatchSize' | 'maxQueueSize' | 'maxCost' | 'cost' | 'windowMs' | 'now' | 'setTimer'
> & {
  /** The service the model belongs to: `stt`. */
  name: string
  fetch: (
    onProgress: (progress: { bytes: number; totalBytes: number }) => void,
    signal: AbortSignal,
  ) => Promise<ModelFiles>
  createThread: (files: ModelFiles) => EngineThread<In, Out, Piece>
  /** Called once when files from the cache or the hub could not be loaded, so that the next fetch brings them anew. */
  onDamaged?: (files: ModelFiles) => Promise<unknown>
  /** How long a request waits for a model that is on its way. */
  coldHoldMs?: number
  log: Log
  metrics?: Metrics
}

type Live<In, Out, Piece> = { thread: EngineThread<In, Out, Piece>; batcher: Batcher<In, Out, Piece> }

export class Model<In, Out, Piece = never> {
  readonly #options: ModelOptions<In, Out, Piece>
  readonly #setTimer: SetTimer
  readonly #closing = new AbortController()
  #status: ModelStatus
  #live: Live<In, Out, Piece> | undefined
  #failures = 0
  #triedRepair = false
  #cancelRetry: (() => void) | undefined
  #cycle: Promise<void> | undefined
  /** Settled anew for each load: requests that are held wait on it. */
  #becameReady = Promise.withResolvers<void>()

  constructor(options: ModelOptions<In, Out, Piece>) {
    this.#options = options
    this.#setTimer = options.setTimer ?? systemTimer
    this.#status = {
      id: options.name,
      source: null,
      state: 'idle',
      progress: null,
      loadMs: null,
      firstInferenceMs: null,
      secondInferenceMs: null,
      warning: null,
      error: null,
    }
    this.#becameReady.promise.catch(() => undefined)
  }

  get status(): ModelStatus {
    return this.#status
  }

  /** Begins fetching, loading and warming, unless that has begun. */
  start(): void {
    if (this.#status.state === 'idle') this.#cycle = this.#load()
  }

  /** Waits until the model is ready. Rejects with `model_loading` after `coldHoldMs`, with `draining` once closed. */
  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#status.state === 'ready') return
    if (this.#closing.signal.aborted)
      throw new AppError('draining', 'the service is shutting down', { retryAfterMs: 1000 })
    this.start()
    const held = Promise.withResolvers<never>()
    const cancelTimer = this.#setTimer(() => held.reject(this.#stillLoading()), this.#options.coldHoldMs ?? 120_000)
    const leave = () => held.reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    try {
      await Promise.race([this.#becameReady.promise, held.promise])
    } finally {
      cancelTimer()
      signal.removeEventListener('abort', leave)
    }
  }

  /** One input through the batcher, held while the model is still coming. `model` names what answered: `demo/whisper`. */
  async submit(
    input: In,
    signal: AbortSignal,
    onPiece?: (piece: Piece) => void,
  ): Promise<BatchResult<Out> & { model: string }> {
    await this.ready(signal)
    if (!this.#live) throw new AppError('internal_error', 'this is a bug: ready without an engine')
    const result = await this.#live.batcher.submit(input, signal, onPiece)
    return { ...result, model: this.#status.id }
  }

  /** Refuses what waits, lets the running batch end, ends the thread. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return this.#cycle
    const draining = new AppError('draining', 'the service is shutting down', { retryAfterMs: 1000 })
    this.#closing.abort(draining)
    this.#cancelRetry?.()
    this.#becameReady.reject(draining)
    this.#to('draining')
    await this.#live?.batcher.close(draining)
    await this.#live?.thread.close()
    await this.#cycle
    this.#to('stopped')
  }

  async #load(): Promise<void> {
    const { signal } = this.#closing
    this.#cancelRetry = undefined
    let files: ModelFiles | undefined
    let thread: EngineThread<In, Out, Piece> | undefined
    try {
      this.#to('fetching', { progress: null, error: null })
      files = await orAborted(
        this.#options.fetch((progress) => (this.#status = { ...this.#status, progress }), signal),
        signal,
      )
      this.#to('loading', { id: files.id, source: files.source, warning: files.warning, progress: null })
      thread = this.#options.createThread(files)
      const { maxBatchSize, loadMs } = await thread.load(signal)
      this.#to('warming', { loadMs })
      const warmed = await thread.warm(signal)
      this.#goLive(thread, Math.min(maxBatchSize, this.#options.maxBatchSize))
      this.#to('ready', { firstInferenceMs: warmed.firstInferenceMs, secondInferenceMs: warmed.secondInferenceMs })
      this.#becameReady.resolve()
    } catch (error) {
      await thread?.close()
      await this.#failed(error, this.#status.state === 'loading' ? files : undefined)
    }
  }

  #goLive(thread: EngineThread<In, Out, Piece>, maxBatchSize: number): void {
    const { name, metrics } = this.#options
    const batcher = new Batcher<In, Out, Piece>({
      ...this.#options,
      maxBatchSize,
      run: (inputs, run) => thread.run(inputs, run),
      onBatch: ({ batchSize, inferenceMs, queueMs }) =>
        metrics?.observeBatch(name, { batchSize, inferenceMs, queueMs }),
    })
    this.#live = { thread, batcher }
    this.#failures = 0
    void thread.crashed.then((error) => this.#crashed(error, batcher))
  }

  async #crashed(error: AppError, batcher: Batcher<In, Out, Piece>): Promise<void> {
    if (this.#live?.batcher !== batcher || this.#closing.signal.aborted) return
    this.#live = undefined
    this.#becameReady = Promise.withResolvers<void>()
    this.#becameReady.promise.catch(() => undefined)
    const lost = new AppError('engine_failed', error.message, {
      cause: error,
      retryAfterMs: 1000,
      details: { crashed: true },
    })
    await Promise.all([batcher.close(lost), this.#failed(error, undefined)])
  }

  /** Files that an engine could not load may be damaged: they are fetched anew, once. Then, and for all else, back-off. */
  async #failed(error: unknown, suspect: ModelFiles | undefined): Promise<void> {
    if (this.#closing.signal.aborted) return
    const { code, message, cause } = toAppError(error)
    this.#to('failed', { error: code === 'internal_error' ? 'internal error' : message })
    this.#options.log.error({ model: this.#status.id, code, err: cause ?? error }, 'model failed')
    if (
      suspect &&
      suspect.source !== 'demo' &&
      suspect.source !== 'local' &&
      this.#options.onDamaged &&
      !this.#triedRepair
    ) {
      this.#triedRepair = true
      await this.#options
        .onDamaged(suspect)
        .catch((err: unknown) => this.#options.log.error({ err }, 'damaged files could not be set aside'))
    }
    const waitMs = Math.min(BACK_OFF_MS.longest, BACK_OFF_MS.first * 2 ** this.#failures++)
    this.#cancelRetry = this.#setTimer(() => (this.#cycle = this.#load()), waitMs)
  }

  #stillLoading(): AppError {
    const { id, state, progress } = this.#status
    const percent = progress && progress.totalBytes > 0 ? progress.bytes / progress.totalBytes : null
    return new AppError('model_loading', `${id} is not ready yet (${state})`, {
      param: 'model',
      retryAfterMs: 5000,
      details: {
        loading: {
          model: id,
          state,
          progress: percent,
          bytes_sent: progress?.bytes,
          total_bytes: progress?.totalBytes,
        },
      },
    })
  }

  #to(state: State, change: Partial<ModelStatus> = {}): void {
    const from = this.#status.state
    if (!NEXT[from].includes(state))
      throw new AppError('internal_error', `this is a bug: a model can't go from ${from} to ${state}`)
    this.#status = { ...this.#status, ...change, state }
    this.#options.metrics?.setModelState(this.#options.name, from, state)
    this.#options.log.info(
      { model: this.#status.id, source: this.#status.source, from, to: state, ...change },
      'model state',
    )
  }
}

/** Settles with `work`, or rejects when `signal` aborts, whichever comes first: a source that ignores its signal can't hold up the end. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener('abort', abort))
}
