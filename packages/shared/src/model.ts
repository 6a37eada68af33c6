/**
 * One model's life: fetched, loaded and warmed once, then shared by every request until it is closed. Requests that come early are held, a
 * crashed engine is loaded again by itself, and every change of state goes through one function.
 */
import type { ModelStatus, Preload } from './api.ts'
import { Batcher, type BatcherOptions, type BatchResult, MAX_QUEUE_SIZE } from './batcher.ts'
import { BootClock } from './boot-clock.ts'
import type { EngineThread } from './engine-thread.ts'
import { AppError, toAppError } from './errors.ts'
import {
  type FetchProgress,
  idleStatus,
  keepsFailing,
  type Milestone,
  milestoneOf,
  NEXT,
  progressOf,
  type State,
  stillLoading,
} from './model-status.ts'
import type { ModelFiles } from './model-store.ts'
import { inQuietMoments } from './quiet-moments.ts'
import type { Log, Metrics } from './telemetry.ts'
import { orAborted, type SetTimer, systemTimer, WaitingRoom, within } from './waits.ts'

const BACK_OFF_MS = { first: 100, longest: 30_000 } as const
/** Longer than a thread takes to end, which is not cut short while it loads: whoever waits for this end may load the same model then. */
const CYCLE_END_MS = 30_000
/** Failures in a row after which requests are refused at once instead of being held. */
const PATIENCE = 3

type Thread<In, Out, Piece> = Pick<EngineThread<In, Out, Piece>, 'load' | 'warm' | 'run' | 'close' | 'crashed'>

export type ModelOptions<In, Out, Piece> = Pick<
  BatcherOptions<In, Out, Piece>,
  'maxBatchSize' | 'maxQueueSize' | 'maxCost' | 'cost' | 'maxPadding' | 'windowMs' | 'paceMs' | 'now' | 'setTimer'
> & {
  /** The service the model belongs to: `stt`. */
  name: string
  /** What the model is called until its files say so: it may turn out to be the demo. The service's name unless told. */
  id?: string
  /** When `preload` begins, and what `/ready` says meanwhile. Unless told, the model is nobody's to wait for. */
  preload?: Preload
  fetch: (onProgress: (news: FetchProgress) => void, signal: AbortSignal) => Promise<ModelFiles>
  /** Reads what the serving side needs of the files, before the engine loads them. That it fails may be the files' fault too. */
  prepare?: (files: ModelFiles) => Promise<unknown>
  createThread: (files: ModelFiles) => Thread<In, Out, Piece>
  /** Called once when files from the cache or the hub could not be loaded, so that the next fetch brings them anew. */
  onDamaged?: (files: ModelFiles) => Promise<unknown>
  /** All of the warm-up comes before "ready": another model serves meanwhile. */
  isReplacement?: boolean
  /** Whether the service is at work on a request, also where this model has nothing to do just now: its warm-up goes on only when it is not. */
  isInUse?: () => boolean
  /** Called each time the model is warm: ready, and nothing of its warm-up is left. */
  onWarm?: () => void
  /** Called at each change of the status. */
  onStatus?: () => void
  /** How long a request waits for a model that is on its way. 120 s unless told. */
  coldHoldMs?: number
  /** How long `close` waits for the running batch. 10 s unless told. */
  drainMs?: number
  log: Pick<Log, 'info' | 'error'>
  metrics?: Pick<Metrics, 'observeBatch' | 'setModelState'>
}

type Live<In, Out, Piece> = {
  readonly id: string
  readonly thread: Thread<In, Out, Piece>
  readonly batcher: Batcher<In, Out, Piece>
  /** What rejects the entries that were still waiting when the thread died: they go to the next engine. */
  readonly unserved: AppError
  /** Aborts when the thread dies. */
  readonly life: AbortController
}

export class Model<In, Out, Piece = never> {
  readonly #options: ModelOptions<In, Out, Piece>
  readonly #now: () => number
  readonly #setTimer: SetTimer
  readonly #closing = new AbortController()
  readonly #held: WaitingRoom
  readonly #boot: BootClock
  #status: ModelStatus
  #live: Live<In, Out, Piece> | undefined
  #failures = 0
  #triedRepair = false
  /** Why what comes after the first inference could not be done; a later engine is spared it, for this one may have died of it. */
  #coldBecause: string | undefined
  #fetchedFrom: Milestone | null = null
  #news: FetchProgress | null = null
  #retry: { readonly atMs: number; cancel(): void } | undefined
  #cycle: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(options: ModelOptions<In, Out, Piece>) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#setTimer = options.setTimer ?? systemTimer
    this.#held = new WaitingRoom(this.#setTimer)
    this.#boot = new BootClock(this.#now)
    this.#status = idleStatus(options.id ?? options.name)
  }

  get status(): ModelStatus {
    const { preload } = this.#options
    const effective = preload === 'eager' && this.#status.error !== null ? 'background' : preload
    const { report: boot } = this.#boot
    return {
      ...this.#status,
      progress: this.#news && progressOf(this.#news, this.#fetchedFrom, this.#now()),
      ...(effective && { preload: effective }),
      ...(this.#retry && { retryInMs: Math.max(0, this.#retry.atMs - this.#now()) }),
      ...(boot && { boot }),
    }
  }

  /** Begins at once, unless the policy leaves that to the first request. */
  preload(): void {
    if (this.#options.preload !== 'lazy') this.start()
  }

  /** Begins fetching, loading and warming, unless that has begun. */
  start(): void {
    if (this.#status.state === 'idle') this.#cycle = this.#bringUp()
  }

  /**
   * Waits until the model is ready; starts it when idle. Rejects with `model_loading` after `holdMs`, or at once when as many wait as the
   * queue may hold; with `model_failed` once it failed three times in a row; with `draining` once closed; with the signal's reason.
   */
  async ready(signal: AbortSignal, holdMs = this.#options.coldHoldMs ?? 120_000): Promise<void> {
    signal.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    if (this.#status.state === 'ready') return
    this.start()
    const isCrowded = this.#held.size >= (this.#options.maxQueueSize ?? MAX_QUEUE_SIZE)
    if (isCrowded || this.#failures >= PATIENCE) throw this.#refusal()
    await this.#held.wait(holdMs, () => this.#refusal(), signal)
  }

  /**
   * One input through the batcher, held while the model is still coming; `queueMs` counts that too. `model` names what answered, such as
   * `demo/whisper`. Rejects as `ready` and as `Batcher.submit` do. Whoever only waited when the engine crashed goes to the next one.
   */
  async submit(
    input: In,
    signal: AbortSignal,
    onPiece?: (piece: Piece) => void,
    holdMs?: number,
  ): Promise<BatchResult<Out> & { model: string }> {
    const arrivedAt = this.#now()
    for (;;) {
      await this.ready(signal, holdMs)
      const live = this.#live
      // It has crashed since: the next one is waited for.
      if (!live) continue
      const heldMs = this.#now() - arrivedAt
      try {
        const result = await live.batcher.submit(input, signal, onPiece)
        return { ...result, queueMs: heldMs + result.queueMs, model: live.id }
      } catch (error) {
        if (error !== live.unserved) throw error
      }
    }
  }

  /** Refuses what waits (with `reason`), lets the running batch end, ends the thread. Within limits; never rejects. */
  close(reason = new AppError('draining', 'the service is shutting down', { retryAfterMs: 1000 })): Promise<void> {
    this.#closed ??= this.#close(reason)
    return this.#closed
  }

  async #close(draining: AppError): Promise<void> {
    this.#closing.abort(draining)
    this.#cancelRetry()
    this.#held.dismiss(draining)
    if (this.#status.warming) this.#status = { ...this.#status, warming: false }
    this.#to('draining')
    const { drainMs = 10_000 } = this.#options
    if (this.#live) await within(drainMs, this.#live.batcher.close(draining), this.#setTimer)
    await this.#live?.thread.close()
    if (this.#cycle) await within(CYCLE_END_MS, this.#cycle, this.#setTimer)
    this.#to('stopped')
  }

  #refusal(): AppError {
    if (this.#failures >= PATIENCE) return keepsFailing(this.status)
    return stillLoading(this.status)
  }

  async #bringUp(): Promise<void> {
    const { signal } = this.#closing
    let files: ModelFiles | undefined
    let thread: Thread<In, Out, Piece> | undefined
    try {
      this.#to('fetching')
      files = await orAborted(
        this.#options.fetch((news) => this.#progressed(news), signal),
        signal,
      )
      this.#boot.found(files)
      const { id, source, revision, warning, bytes } = files
      this.#to('loading', { id, source, revision, warning, ...(bytes !== undefined && { bytes }) })
      await orAborted(this.#prepare(files), signal)
      thread = this.#options.createThread(files)
      const { maxBatchSize, loadMs } = await orAborted(thread.load(signal), signal)
      this.#to('warming', { loadMs, firstInferenceMs: null, secondInferenceMs: null })
      await this.#warmNext(thread)
      if (this.#options.isReplacement) while (await this.#warmNext(thread));
      this.#goLive(thread, Math.min(maxBatchSize, this.#options.maxBatchSize))
    } catch (error) {
      const suspect = this.#status.state === 'loading' ? files : undefined
      await thread?.close()
      await this.#failed(error, suspect)
    }
  }

  /** What is wrong with a file is for the log; that one is, for everybody. */
  async #prepare(files: ModelFiles): Promise<void> {
    try {
      await this.#options.prepare?.(files)
    } catch (cause) {
      if (cause instanceof AppError) throw cause
      throw new AppError('model_failed', `the files of ${files.id} can't be read`, { cause })
    }
  }

  #progressed(news: FetchProgress): void {
    if (this.#status.state !== 'fetching') return
    if (this.#fetchedFrom === null) this.#downloadBegins(news)
    this.#news = news
    this.#options.onStatus?.()
  }

  #downloadBegins(news: FetchProgress): void {
    this.#fetchedFrom = milestoneOf(news, this.#now())
    if (this.#fetchedFrom === null) return
    const { totalBytes } = news
    this.#options.log.info({ model: this.#status.id, totalBytes }, 'downloading the model')
  }

  /** One part of the warm-up; whether there may be more. */
  async #warmNext(thread: Thread<In, Out, Piece>): Promise<boolean> {
    const { signal } = this.#closing
    const ms = await orAborted(thread.warm(signal), signal)
    const { firstInferenceMs, secondInferenceMs } = this.#status
    if (firstInferenceMs === null) this.#status = { ...this.#status, firstInferenceMs: ms }
    else if (secondInferenceMs === null) this.#status = { ...this.#status, secondInferenceMs: ms }
    return ms !== null
  }

  #goLive(thread: Thread<In, Out, Piece>, maxBatchSize: number): void {
    const { name, metrics } = this.#options
    const batcher = new Batcher<In, Out, Piece>({
      ...this.#options,
      maxBatchSize,
      run: (inputs, run) => thread.run(inputs, run),
      onBatch: (batch) => metrics?.observeBatch(name, batch),
    })
    const unserved = new AppError('engine_failed', 'the engine crashed before this request began')
    const live = { id: this.#status.id, thread, batcher, unserved, life: new AbortController() }
    void thread.crashed.then((error) => this.#crashed(error, live))
    this.#to('ready', { warming: true, error: null })
    this.#live = live
    this.#failures = 0
    this.#triedRepair = false
    this.#held.admit()
    void this.#warmOn(live)
  }

  /** What is left of the warm-up, between requests. Never rejects: a part that fails is told, and the model serves all the same. */
  async #warmOn(live: Live<In, Out, Piece>): Promise<void> {
    const { isReplacement, isInUse = () => false, log, onWarm } = this.#options
    const { thread, batcher } = live
    try {
      if (!isReplacement && this.#coldBecause === undefined)
        await inQuietMoments(() => this.#warmNext(thread), {
          isInUse: () => batcher.queued + batcher.running > 0 || isInUse(),
          signal: AbortSignal.any([this.#closing.signal, live.life.signal]),
          now: this.#now,
          setTimer: this.#setTimer,
        })
    } catch (error) {
      if (this.#closing.signal.aborted || error === live.unserved) return
      const { message, cause } = toAppError(error)
      this.#coldBecause = `the rest of its warm-up failed (${message}): some first requests take longer`
      log.error({ model: live.id, err: cause ?? error }, 'warm-up failed after ready')
    }
    if (this.#live !== live) return
    this.#boot.warm()
    const warnings = [this.#status.warning, this.#coldBecause].filter((one) => one != null)
    this.#status = { ...this.#status, warming: false, warning: warnings.length > 0 ? warnings.join('; ') : null }
    this.#options.onStatus?.()
    onWarm?.()
  }

  #crashed(error: AppError, live: Live<In, Out, Piece>): void {
    if (this.#closing.signal.aborted) return
    this.#live = undefined
    this.#status = { ...this.#status, warming: false }
    live.life.abort(live.unserved)
    void live.batcher.close(live.unserved)
    void this.#failed(error, undefined)
  }

  /** Files that could not be loaded may be damaged: they are fetched anew, once. Then, and for all else, back-off. */
  async #failed(error: unknown, suspect: ModelFiles | undefined): Promise<void> {
    if (this.#closing.signal.aborted) return
    const { code, message, cause } = toAppError(error)
    const waitMs = this.#backOffMs()
    this.#failures++
    this.#to('failed', { error: message })
    const { id, preload } = this.status
    this.#options.log.error({ model: id, code, preload, retryInMs: waitMs, err: cause ?? error }, 'model failed')
    if (suspect) await this.#repair(suspect)
    if (this.#closing.signal.aborted) return
    this.#tryAgainIn(waitMs)
    if (this.#failures >= PATIENCE) this.#held.dismiss(this.#refusal())
  }

  #tryAgainIn(waitMs: number): void {
    const again = () => {
      this.#retry = undefined
      this.#cycle = this.#bringUp()
    }
    this.#retry = { atMs: this.#now() + waitMs, cancel: this.#setTimer(again, waitMs) }
    this.#options.onStatus?.()
  }

  #cancelRetry(): void {
    this.#retry?.cancel()
    this.#retry = undefined
  }

  async #repair(files: ModelFiles): Promise<void> {
    const isOurs = files.source === 'cache' || files.source === 'hub'
    if (!isOurs || this.#triedRepair || !this.#options.onDamaged) return
    this.#triedRepair = true
    try {
      await this.#options.onDamaged(files)
    } catch (error) {
      this.#options.log.error({ model: files.id, err: error }, 'damaged files could not be set aside')
    }
  }

  #backOffMs(): number {
    return Math.min(BACK_OFF_MS.longest, BACK_OFF_MS.first * 2 ** this.#failures)
  }

  #to(state: State, change: Partial<ModelStatus> = {}): void {
    const from = this.#status.state
    if (!NEXT[from].includes(state))
      throw new AppError('internal_error', `this is a bug: a model can't go from ${from} to ${state}`)
    this.#status = { ...this.#status, ...change, state }
    this.#news = null
    this.#fetchedFrom = null
    this.#boot.enter(state)
    this.#options.metrics?.setModelState(this.#options.name, state)
    // Whether files come from the hub or lie on the disk is not known yet: nothing is said before it is.
    if (state !== 'fetching') this.#tell(from, change)
    this.#options.onStatus?.()
  }

  #tell(from: State, change: Partial<ModelStatus>): void {
    const { id, source, state } = this.#status
    const { report: boot } = this.#boot
    this.#options.log.info(
      {
        ...change,
        model: id,
        source,
        ...(from !== 'fetching' && { from }),
        to: state,
        ...(state === 'ready' && { boot }),
      },
      'model state',
    )
  }
}
