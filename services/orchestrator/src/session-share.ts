/**
 * Keeps the sessions that this process knows in step with those in Redis. A turn holds a lease there, which a beat renews; the
 * same beat sees what other replicas have deleted, and writes back what was said while Redis was away. The one idea: Redis being
 * away is never a turn's trouble, it only leaves something unwritten.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { AppError, toAppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { limitedWarning } from './redis.ts'
import type { SessionRedis, Taken } from './session-redis.ts'
import { allInUse, newId, sessionDeleted } from './session-table.ts'
import type { KnownSession, SessionTable } from './session-table.ts'

export type SessionShareOptions = {
  readonly redis: SessionRedis
  readonly table: SessionTable
  readonly maxTurns: number
  readonly maxSessions: number
  /** Leases are renewed that often. */
  readonly beatMs: number
  /** Hears of what any replica has deleted. */
  readonly onDeleted: (born: string) => void
  readonly log: Log
}

const ASK_EVERY_MS = { first: 10, longest: 100 }
/** Sessions that are written back at the same time. */
const MOST_WRITTEN = 100

export class SessionShare {
  readonly #options: SessionShareOptions
  /** Who is in which session. */
  readonly #leases = new Map<string, KnownSession>()
  readonly #life = new AbortController()
  readonly #timer: NodeJS.Timeout
  #away: AppError | undefined
  readonly #warn: (error: Error) => void
  #seenUntil = ''
  #beating: Promise<void> | undefined

  constructor(options: SessionShareOptions) {
    this.#options = options
    this.#warn = limitedWarning(options.log, 'sessions are kept in this process only')
    this.#timer = setInterval(() => this.#beat(), options.beatMs).unref()
    options.redis.onReady(() => this.#beat())
  }

  /**
   * Enters the session for the turn `token`, with what all replicas know of it. Gives the trouble when Redis is away, and the turn
   * goes on with what this process knows. Throws `overloaded`, `session_not_found`, or the signal's reason.
   */
  async enter(session: KnownSession, token: string, signal: AbortSignal): Promise<AppError | undefined> {
    try {
      const taken = await this.#take(session, token, signal)
      this.#leases.set(token, session)
      return await this.#adopt(session, taken)
    } catch (error) {
      if (signal.aborted || !isAway(error)) {
        await this.leave(session, token)
        signal.throwIfAborted()
        throw error
      }
      this.#leases.set(token, session)
      return error
    }
  }

  /** Gives the session back. */
  async leave(session: KnownSession, token: string): Promise<void> {
    this.#leases.delete(token)
    // A lease that can't be given back ends by itself.
    await this.ask(({ redis, signal }) => redis.leave(session, token, signal)).catch(() => {})
  }

  /** Writes what only this process knows of the session. Gives the trouble when Redis is away. */
  async write(session: KnownSession): Promise<AppError | undefined> {
    const added = session.unwritten
    if (added.length === 0) return undefined
    try {
      let told = await this.#append(session, added, false)
      if (told === 'missing') told = await this.#append(session, session.history, true)
      if (told === 'deleted') this.#options.table.delete(session)
      else if (told !== 'missing') session.born = told[0]
      session.unwritten = session.unwritten.filter((exchange) => !added.includes(exchange))
      return undefined
    } catch (error) {
      return toAppError(error)
    }
  }

  /** For what answers a caller; throws `dependency_unavailable` at once while Redis is away. */
  async ask<T>(work: (to: { redis: SessionRedis; signal: AbortSignal }) => Promise<T>): Promise<T> {
    if (this.#away) throw this.#away
    try {
      return await work({ redis: this.#options.redis, signal: this.#life.signal })
    } catch (error) {
      this.#awayBecause(error)
      throw error
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#life.abort(new AppError('draining', 'the orchestrator stops'))
    await this.#beating
    this.#options.redis.close()
  }

  async #take(session: KnownSession, token: string, signal: AbortSignal): Promise<Entered> {
    let seen = session.born
    for (let asked = 0; ; asked++) {
      const known = { ...session, born: seen }
      const taken = await this.ask(({ redis }) => redis.take(session, token, known, signal))
      if ('found' in taken) return taken
      if (taken.state === 'full') throw allInUse(this.#options.maxSessions)
      if (taken.state === 'deleted') {
        if (asked > 0) throw sessionDeleted()
        seen = forget(session)
      } else {
        seen = taken.born || seen
        const waitMs = Math.min(ASK_EVERY_MS.first * 2 ** asked, ASK_EVERY_MS.longest)
        await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    }
  }

  /** What Redis has goes before what only this process knows. */
  async #adopt(session: KnownSession, { state, found }: Entered): Promise<AppError | undefined> {
    const ours = state === 'new' ? session.history : session.unwritten
    const theirs = new Set(found.history.map(({ id }) => id))
    session.born = found.born
    session.summary = found.summary
    session.unwritten = ours.filter(({ id }) => !theirs.has(id))
    session.history = [...found.history, ...session.unwritten].slice(-this.#options.maxTurns)
    return this.write(session)
  }

  #append(session: KnownSession, added: KnownSession['history'], mayBegin: boolean) {
    return this.ask(({ redis, signal }) => redis.append(session, session, added, mayBegin, signal))
  }

  /** Looks at once, instead of when it is time. */
  #beat(): void {
    this.#beating ??= this.#lookAround()
      .catch((error: unknown) => {
        if (!isAway(error) && !this.#life.signal.aborted) this.#warn(toAppError(error))
      })
      .finally(() => (this.#beating = undefined))
  }

  async #lookAround(): Promise<void> {
    await this.#seeDeletions()
    await Promise.all([...this.#leases].map(([token, session]) => this.#renew(session, token)))
    const waiting = [...this.#options.table.values()].filter(({ unwritten }) => unwritten.length > 0)
    await Promise.all(waiting.slice(0, MOST_WRITTEN).map((session) => this.write(session)))
  }

  /** Also finds out whether Redis is there. */
  async #seeDeletions(): Promise<void> {
    const { redis, table, onDeleted } = this.#options
    const { now, deleted } = await redis.deletions(this.#seenUntil, this.#life.signal).catch((error: unknown) => {
      this.#awayBecause(error)
      throw error
    })
    this.#away = undefined
    this.#seenUntil = now
    for (const { born, ...name } of deleted) {
      const session = table.get(name)
      if (session?.born === born) table.delete(session)
      onDeleted(born)
    }
  }

  async #renew(session: KnownSession, token: string): Promise<void> {
    const told = await this.ask(({ redis, signal }) => redis.renew(session, token, session.born, signal))
    if (told === 'deleted') this.#options.table.delete(session)
    // Redis has lost it.
    if (told === 'missing') session.unwritten = session.history
  }

  #awayBecause(error: unknown): void {
    if (!isAway(error)) return
    if (!this.#away) this.#warn(error)
    this.#away = error
  }
}

type Entered = Extract<Taken, { found: unknown }>

/** What this process knows of a session that another replica has deleted. Gives the name of the new beginning. */
function forget(session: KnownSession): string {
  session.history = []
  session.unwritten = []
  session.summary = ''
  return (session.born = newId())
}

const isAway = (error: unknown): error is AppError =>
  error instanceof AppError && error.code === 'dependency_unavailable'
