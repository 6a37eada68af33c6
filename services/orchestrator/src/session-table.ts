/**
 * The conversations that this process knows. The one idea: nobody touches a session but the turn that has entered it, so the turns
 * of one session never interleave, and those of two sessions never wait for each other.
 */
import { randomBytes } from 'node:crypto'
import { AppError } from '@hearth/shared/errors'
import type { Exchange } from './turn-events.ts'

export type SessionTableOptions = {
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

/** The same id of two owners names two sessions. Both are of `A-Z a-z 0-9 _ -`. */
export type SessionName = { readonly owner: string; readonly id: string }

/** An exchange, known again wherever it is met. */
export type Kept = Exchange & { readonly id: string }

export type Conversation = {
  /** Random; another one when the session is deleted and begun again. */
  readonly born: string
  /** Of what was said before the history; '' when all of that is there. */
  readonly summary: string
  /** Oldest first. */
  readonly history: readonly Kept[]
}

/** A session as it is listed. */
export type SessionSummary = {
  readonly id: string
  /** Exchanges that are kept of it. */
  readonly turns: number
  /** ISO 8601. */
  readonly lastUsedAt: string
}

export type SessionDetail = SessionSummary & { readonly summary: string; readonly history: readonly Exchange[] }

type Waiter = { enter(): void }

export type KnownSession = SessionName & {
  born: string
  summary: string
  history: readonly Kept[]
  /** The last of its history, as far as only this process knows them. */
  unwritten: readonly Kept[]
  usedAt: number
  isBusy: boolean
  readonly waiters: Set<Waiter>
  readonly deleted: AbortController
}

export class SessionTable {
  readonly #options: SessionTableOptions
  readonly #now: () => number
  readonly #wallClock: () => number
  /** In the order of last use, oldest first. */
  readonly #sessions = new Map<string, KnownSession>()

  constructor(options: SessionTableOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#wallClock = options.wallClock ?? Date.now
  }

  get size(): number {
    return this.#sessions.size
  }

  values(): Iterable<KnownSession> {
    return this.#sessions.values()
  }

  /**
   * Waits for its turn in the session, or in a new one; `leave` lets the next one in. Throws `overloaded` when too many wait for it
   * or every session is in use, `session_not_found` when it is deleted meanwhile, or the signal's reason.
   */
  async enter(name: SessionName, signal: AbortSignal): Promise<KnownSession> {
    signal.throwIfAborted()
    const session = this.#touch(name)
    if (session.isBusy) await this.#wait(session, AbortSignal.any([signal, session.deleted.signal]))
    session.isBusy = true
    return session
  }

  /** The session stays busy when it is handed to a waiter, so that nobody slips in between. */
  leave(session: KnownSession): void {
    session.usedAt = this.#now()
    const [waiter] = session.waiters
    if (!waiter) {
      session.isBusy = false
      return
    }
    session.waiters.delete(waiter)
    waiter.enter()
  }

  /** The one used last comes first. */
  list(owner: string): SessionSummary[] {
    this.#forgetIdle()
    const own = [...this.#sessions.values()].filter((session) => session.owner === owner)
    return own.map((session) => this.#summary(session)).toReversed()
  }

  /** Undefined when there is no such session. */
  get(name: SessionName): KnownSession | undefined {
    this.#forgetIdle()
    return this.#sessions.get(keyOf(name))
  }

  read(name: SessionName): SessionDetail | undefined {
    const session = this.get(name)
    return session && { ...this.#summary(session), summary: session.summary, history: withoutIds(session.history) }
  }

  /** Ends the turn that is in it and those that wait for it. */
  delete(session: KnownSession): void {
    if (this.#sessions.get(keyOf(session)) === session) this.#sessions.delete(keyOf(session))
    session.deleted.abort(sessionDeleted())
  }

  #summary({ id, history, usedAt }: KnownSession): SessionSummary {
    const lastUsedAt = new Date(this.#wallClock() - (this.#now() - usedAt)).toISOString()
    return { id, turns: history.length, lastUsedAt }
  }

  #touch(name: SessionName): KnownSession {
    this.#forgetIdle()
    const key = keyOf(name)
    const known = this.#sessions.get(key)
    if (!known) this.#makeRoom()
    const session = known ?? begin(name)
    session.usedAt = this.#now()
    this.#sessions.delete(key)
    this.#sessions.set(key, session)
    return session
  }

  async #wait(session: KnownSession, signal: AbortSignal): Promise<void> {
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

  #forgetIdle(): void {
    const oldest = this.#now() - this.#options.idleMs
    for (const [key, { usedAt, isBusy }] of this.#sessions) {
      if (usedAt > oldest) return
      if (!isBusy) this.#sessions.delete(key)
    }
  }

  #makeRoom(): void {
    if (this.#sessions.size < this.#options.maxSessions) return
    for (const [key, { isBusy }] of this.#sessions) if (!isBusy) return void this.#sessions.delete(key)
    throw allInUse(this.#sessions.size)
  }
}

const begin = (name: SessionName): KnownSession => ({
  ...name,
  born: newId(),
  summary: '',
  history: [],
  unwritten: [],
  usedAt: 0,
  isBusy: false,
  waiters: new Set(),
  deleted: new AbortController(),
})

export const withoutIds = (history: readonly Kept[]): Exchange[] =>
  history.map(({ user, results, reply, calls }) => ({
    user,
    reply,
    ...(results && { results }),
    ...(calls && { calls }),
  }))

/** 192 random bits, as 32 characters that fit in an address. */
export const newId = (): string => randomBytes(24).toString('base64url')

export const sessionDeleted = () => new AppError('session_not_found', 'the session was deleted', { param: 'session' })

export const allInUse = (count: number) =>
  new AppError('overloaded', `all ${count} sessions are in use`, { retryAfterMs: 1000 })

const keyOf = ({ owner, id }: SessionName): string => `${owner}:${id}`
