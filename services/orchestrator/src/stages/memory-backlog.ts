/**
 * What is to be remembered and could not be: kept here in its order, in this process only, and stored once storing works again. Storing a
 * sentence twice does no harm (memory.ts), so a batch that failed half-way is simply stored anew.
 */
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'

/** What a user said in one turn and is worth keeping. */
export type Statements = {
  readonly statements: readonly string[]
  readonly user: string
  readonly session: string
  readonly turn: string | null
  /** Milliseconds since 1970. */
  readonly saidAt: number
}

export type BacklogOptions = {
  readonly store: (said: readonly Statements[], signal: AbortSignal) => Promise<void>
  /** From one attempt to the next. */
  readonly retryMs: number
  readonly log: Pick<Log, 'info' | 'warn'>
}

/** Turns whose statements are kept; the oldest go. */
const MOST_KEPT = 1000
/** Stored in one go. */
const BATCH = 8

export class MemoryBacklog {
  readonly #options: BacklogOptions
  readonly #closing = new AbortController()
  readonly #kept: Statements[] = []
  #isReplaying = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: BacklogOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#kept.length
  }

  /** Keeps them for later; the error says so. */
  keep(said: Statements, cause?: unknown): AppError {
    this.#kept.push(said)
    if (this.#kept.length > MOST_KEPT) {
      this.#kept.shift()
      this.#options.log.warn({ kept: MOST_KEPT }, 'too much is to be remembered: the oldest is lost')
    }
    this.#retryLater()
    const message = 'memory: it is away; what was said is kept for later'
    return new AppError('dependency_unavailable', message, { cause, details: { stage: 'memory' } })
  }

  /** Stores what is kept, oldest first, until nothing is left or storing fails. Never throws. */
  async replay(): Promise<void> {
    if (this.#isReplaying) return
    this.#isReplaying = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { log } = this.#options
    const turns = this.#kept.length
    try {
      while (this.#kept.length > 0) await this.#storeSome()
      log.info({ turns }, 'what was kept is remembered')
    } catch (err) {
      log.warn({ err, kept: this.#kept.length }, 'what was kept is not remembered yet')
    }
    this.#isReplaying = false
    if (this.#kept.length > 0) this.#retryLater()
  }

  /** Statements that are refused would be refused for ever: they are found by storing turn after turn, and given up. */
  async #storeSome(): Promise<void> {
    const batch = this.#kept.slice(0, BATCH)
    try {
      await this.#store(batch)
    } catch (error) {
      if (!isRefusal(error)) throw error
      for (const one of batch) await this.#store([one]).catch((err: unknown) => this.#giveUp(one, err))
    }
  }

  async #store(batch: readonly Statements[]): Promise<void> {
    await this.#options.store(batch, this.#closing.signal)
    this.#drop(batch)
  }

  #giveUp(one: Statements, err: unknown): void {
    if (!isRefusal(err)) throw err
    this.#options.log.warn({ err }, 'what was kept is refused, and lost')
    this.#drop([one])
  }

  /** Ends the attempts. */
  close(): void {
    this.#closing.abort()
    clearTimeout(this.#timer)
  }

  /** By identity: while they were stored, the oldest may have gone already. */
  #drop(stored: readonly Statements[]): void {
    while (stored.some((one) => one === this.#kept[0])) this.#kept.shift()
  }

  #retryLater(): void {
    if (this.#timer || this.#isReplaying || this.#closing.signal.aborted) return
    this.#timer = setTimeout(() => void this.replay(), this.#options.retryMs).unref()
  }
}

/** Whether the words themselves are at fault. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof AppError && error.status < 500 && !error.retryable
