/**
 * The conversations in progress, in this process. The one idea: nobody touches a session but the turn that has entered it, so
 * the turns of one session never interleave, and those of two sessions never wait for each other.
 */
import { randomBytes } from 'node:crypto'
import { AppError } from '@hearth/shared/errors'
import type { Exchange } from './turn-events.ts'

export type SessionsOptions = {
  /** The session unused for longest goes first. */
  readonly maxSessions: number
  /** Exchanges kept of each. */
  readonly maxTurns: number
  /** A session unused for that long is forgotten. */
  readonly idleMs: number
  /** Turns that may wait for one session. */
  readonly maxWaiting: number
  readonly now?: () => number
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number
}

/** A session as it is listed. */
export type SessionSummary = {
  readonly id: string
  /** Exchanges that are kept of it. */
  readonly turns: number
  /** ISO 8601. */
  readonly lastUsedAt: string
}

/** A session while a turn has it; `leave` lets the next turn in. */
export type EnteredSession = {
  readonly id: string
  /** Aborts with `session_not_found` when the session is deleted; what is added then is lost. */
  readonly deleted: AbortSignal
  /** Oldest first; a snapshot of the time of reading. */
  readonly history: readonly Exchange[]
  add(exchange: Exchange): void
  leave(): void
}

type Waiter = { enter(): void }
type Session = {
  history: readonly Exchange[]
  usedAt: number
  isBusy: boolean
  readonly waiters: Set<Waiter>
  readonly deleted: AbortController
}

export class Sessions {
  readonly #options: SessionsOptions
  readonly #now: () => number
  readonly #wallClock: () => number
  /** In the order of last use, oldest first. */
  readonly #sessions = new Map<string, Session>()

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#wallClock = options.wallClock ?? Date.now
  }

  get size(): number {
    return this.#sessions.size
  }

  /**
   * Waits for its turn in the session named `id`, or in a new one. Throws `overloaded` when too many wait for this session or
   * every session is in use, `session_not_found` when it is deleted meanwhile, or the signal's reason.
   */
  async enter(id: string | undefined, signal: AbortSignal): Promise<EnteredSession> {
    signal.throwIfAborted()
    const name = id ?? newId()
    const session = this.#touch(name)
    if (session.isBusy) await this.#wait(session, AbortSignal.any([signal, session.deleted.signal]))
    session.isBusy = true
    return this.#lend(name, session)
  }

  /** The one used last comes first. */
  list(): SessionSummary[] {
    this.#forgetIdle()
    return [...this.#sessions].map(([id, session]) => this.#summary(id, session)).toReversed()
  }

  /** Undefined when there is no such session. */
  read(id: string): (SessionSummary & { readonly history: readonly Exchange[] }) | undefined {
    this.#forgetIdle()
    const session = this.#sessions.get(id)
    return session && { ...this.#summary(id, session), history: session.history }
  }

  /** Ends the turn that is in it and those that wait for it. False when there is no such session. */
  delete(id: string): boolean {
    const session = this.#sessions.get(id)
    this.#sessions.delete(id)
    session?.deleted.abort(new AppError('session_not_found', 'the session was deleted', { param: 'session' }))
    return session !== undefined
  }

  #summary(id: string, { history, usedAt }: Session): SessionSummary {
    const lastUsedAt = new Date(this.#wallClock() - (this.#now() - usedAt)).toISOString()
    return { id, turns: history.length, lastUsedAt }
  }

  #touch(id: string): Session {
    this.#forgetIdle()
    const known = this.#sessions.get(id)
    if (!known) this.#makeRoom()
    const session = known ?? {
      history: [],
      usedAt: 0,
      isBusy: false,
      waiters: new Set(),
      deleted: new AbortController(),
    }
    session.usedAt = this.#now()
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    return session
  }

  async #wait(session: Session, signal: AbortSignal): Promise<void> {
    if (session.waiters.size >= this.#options.maxWaiting)
      throw new AppError('overloaded', `${session.waiters.size} turns already wait for this session`, {
        retryAfterMs: 1000,
      })
    const turn = Promise.withResolvers<void>()
    const waiter: Waiter = { enter: turn.resolve }
    const give = (): void => {
      session.waiters.delete(waiter)
      turn.reject(signal.reason)
    }
    session.waiters.add(waiter)
    signal.addEventListener('abort', give, { once: true })
    await turn.promise.finally(() => signal.removeEventListener('abort', give))
  }

  #lend(id: string, session: Session): EnteredSession {
    const { maxTurns } = this.#options
    const deleted = session.deleted.signal
    let hasLeft = false
    return {
      id,
      deleted,
      get history() {
        return session.history
      },
      add: (exchange) => {
        if (!hasLeft) session.history = [...session.history, exchange].slice(-maxTurns)
      },
      leave: () => {
        if (hasLeft) return
        hasLeft = true
        this.#next(session)
      },
    }
  }

  /** The session stays busy when it is handed to a waiter, so that nobody slips in between. */
  #next(session: Session): void {
    session.usedAt = this.#now()
    const [waiter] = session.waiters
    if (!waiter) {
      session.isBusy = false
      return
    }
    session.waiters.delete(waiter)
    waiter.enter()
  }

  #forgetIdle(): void {
    const oldest = this.#now() - this.#options.idleMs
    for (const [id, { usedAt, isBusy }] of this.#sessions) {
      if (usedAt > oldest) return
      if (!isBusy) this.#sessions.delete(id)
    }
  }

  #makeRoom(): void {
    if (this.#sessions.size < this.#options.maxSessions) return
    for (const [id, { isBusy }] of this.#sessions) if (!isBusy) return void this.#sessions.delete(id)
    throw new AppError('overloaded', `all ${this.#sessions.size} sessions are in use`, { retryAfterMs: 1000 })
  }
}

/** 192 random bits, as 32 characters that fit in an address. */
const newId = (): string => randomBytes(24).toString('base64url')
