/**
 * The conversations in progress. Each process keeps those it knows (session-table.ts), and one turn at a time is in each. With a
 * Redis they are also there (session-share.ts), so that they outlive the process and the same holds over all replicas.
 */
import { AppError, toAppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import type { Redis } from 'ioredis'
import { SessionRedis } from './session-redis.ts'
import { SessionShare } from './session-share.ts'
import { Shortener } from './session-shortener.ts'
import type { Summariser } from './session-summary.ts'
import { SessionTable, newId, withoutIds } from './session-table.ts'
import type { KnownSession, SessionDetail, SessionSummary, SessionTableOptions } from './session-table.ts'
import type { TurnSession } from './turn-events.ts'

export type SessionsOptions = SessionTableOptions & {
  /** Left out: sessions are this process' own. `leaseMs`: a turn that has died in a session leaves it after that. */
  readonly shared?: { readonly connection: Redis; readonly leaseMs: number; readonly log: Log } | undefined
  /** Left out: the oldest exchanges of a long session just go. */
  readonly summaries?: { readonly summariser: Summariser; readonly limitMs: number; readonly log: Log } | undefined
}

/** A session while a turn has it; `leave` lets the next turn in. */
export type EnteredSession = TurnSession & {
  /** Names this beginning of the session: another one after it was deleted. */
  readonly born: string
  /** Aborts with `session_not_found` when the session is deleted; what is added then is lost. */
  readonly deleted: AbortSignal
  /** Resolves once what was added is where all replicas find it; gives the trouble when Redis is or was away. */
  kept(): Promise<AppError | undefined>
  leave(): void
}

/** Who doesn't say who they are shares one memory, and has sessions in common. */
export const ANYBODY = 'default'

const BEATS_PER_LEASE = 5

export class Sessions {
  readonly #options: SessionsOptions
  readonly #table: SessionTable
  readonly #share: SessionShare | undefined
  readonly #listeners: ((born: string) => void)[] = []
  readonly #work = new Set<Promise<void>>()
  readonly #shortener: Shortener | undefined
  readonly #life = new AbortController()

  constructor(options: SessionsOptions) {
    const { shared, summaries, maxTurns, maxSessions, idleMs } = options
    this.#options = options
    this.#table = new SessionTable(options)
    this.#share =
      shared &&
      new SessionShare({
        redis: new SessionRedis(shared.connection, { maxTurns, maxSessions, idleMs, leaseMs: shared.leaseMs }),
        table: this.#table,
        maxTurns,
        maxSessions,
        beatMs: shared.leaseMs / BEATS_PER_LEASE,
        onDeleted: (born) => this.#tellDeleted(born),
        log: shared.log,
      })
    this.#shortener = summaries && new Shortener({ ...summaries, maxTurns, share: this.#share })
  }

  /** Sessions that this process knows. */
  get size(): number {
    return this.#table.size
  }

  /**
   * Waits for its turn in the session of `owner` named `id`, or in a new one. Throws `overloaded` when too many wait for this
   * session or every session is in use, `session_not_found` when it is deleted meanwhile, or the signal's reason.
   */
  async enter(owner: string, id: string | undefined, signal: AbortSignal): Promise<EnteredSession> {
    const session = await this.#table.enter({ owner, id: id ?? newId() }, signal)
    const share = this.#share
    if (!share) return lend(session, { maxTurns: this.#options.maxTurns, leave: () => this.#leave(session) })
    // Tokens sort by arrival; clocks that differ only cost fairness.
    const token = `${Date.now()}-${newId()}`
    try {
      const trouble = await share.enter(session, token, AbortSignal.any([signal, session.deleted.signal]))
      const leave = async (written: Promise<unknown>) => {
        await written
        await share.leave(session, token)
        this.#leave(session)
      }
      const write = () => share.write(session)
      return lend(session, { ...this.#options, trouble, write, leave: (written) => this.#keepUp(leave(written)) })
    } catch (error) {
      this.#table.leave(session)
      throw error
    }
  }

  /** The one used last comes first. `trouble`: Redis is away, and these are those that this process knows. */
  async list(owner: string): Promise<{ sessions: SessionSummary[]; trouble?: AppError }> {
    const known = () => this.#table.list(owner)
    if (!this.#share) return { sessions: known() }
    return this.#share
      .ask(({ redis, signal }) => redis.list(owner, signal))
      .then(
        (sessions) => ({ sessions }),
        (error: unknown) => ({ sessions: known(), trouble: toAppError(error) }),
      )
  }

  /** Undefined when there is no such session. Throws `dependency_unavailable` when only Redis could know. */
  async read(owner: string, id: string): Promise<SessionDetail | undefined> {
    const name = { owner, id }
    if (!this.#share) return this.#table.read(name)
    return this.#share
      .ask(({ redis, signal }) => redis.read(name, signal))
      .catch((error: unknown) => {
        const known = this.#table.read(name)
        if (!known) throw error
        return known
      })
  }

  /**
   * Ends the turn that is in it and those that wait for it; those in other replicas within a beat. False when there is no such
   * session. Throws `dependency_unavailable` when Redis may still have it.
   */
  async delete(owner: string, id: string): Promise<boolean> {
    const name = { owner, id }
    const session = this.#table.get(name)
    if (session) {
      this.#table.delete(session)
      this.#tellDeleted(session.born)
    }
    if (!this.#share) return session !== undefined
    const born = session?.born ?? ''
    const isThere = await this.#share.ask(({ redis, signal }) => redis.delete(name, born, signal))
    return isThere || (session?.unwritten.length ?? 0) > 0
  }

  /** `listener` hears of each beginning of a session that is deleted, in whichever replica. */
  whenDeleted(listener: (born: string) => void): void {
    this.#listeners.push(listener)
  }

  /** Once all turns have left. */
  async close(): Promise<void> {
    this.#life.abort(new AppError('draining', 'the orchestrator stops'))
    await Promise.all(this.#work)
    await this.#share?.close()
  }

  #leave(session: KnownSession): void {
    this.#table.leave(session)
    if (this.#shortener) this.#keepUp(this.#shortener.consider(session, this.#life.signal))
  }

  #keepUp(work: Promise<void>): void {
    const kept = work.finally(() => this.#work.delete(kept))
    this.#work.add(kept)
  }

  #tellDeleted(born: string): void {
    for (const listener of this.#listeners) listener(born)
  }
}

type Lending = {
  readonly maxTurns: number
  /** Redis was away when the turn entered. */
  readonly trouble?: AppError | undefined
  readonly write?: () => Promise<AppError | undefined>
  readonly leave: (written: Promise<unknown>) => void
}

function lend(session: KnownSession, { maxTurns, trouble, write, leave }: Lending): EnteredSession {
  const { id, deleted } = session
  let written: Promise<AppError | undefined> = Promise.resolve(undefined)
  let hasLeft = false
  return {
    id,
    deleted: deleted.signal,
    get born() {
      return session.born
    },
    get history() {
      return withoutIds(session.history)
    },
    get summary() {
      return session.summary
    },
    add(exchange) {
      if (hasLeft || deleted.signal.aborted) return
      const kept = { id: newId(), ...exchange }
      session.history = [...session.history, kept].slice(-maxTurns)
      if (!write) return
      session.unwritten = [...session.unwritten, kept].slice(-maxTurns)
      written = write()
    },
    kept: async () => trouble ?? written,
    leave() {
      if (hasLeft) return
      hasLeft = true
      leave(written)
    },
  }
}
