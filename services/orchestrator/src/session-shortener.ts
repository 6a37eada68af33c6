/**
 * Has long sessions shortened behind the turns: never in the way of the next one, within a time, by one replica, and a few at a
 * time. What fails leaves the history as it was; it stays bounded by `maxTurns`.
 */
import { toAppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import type { SessionShare } from './session-share.ts'
import { tooOld } from './session-summary.ts'
import type { Summariser } from './session-summary.ts'
import type { Kept, KnownSession } from './session-table.ts'
import { within } from './stages/limit.ts'

export type ShortenerOptions = {
  readonly summariser: Summariser
  readonly maxTurns: number
  /** For one summary; a replica that failed leaves the session alone for that long. */
  readonly limitMs: number
  readonly share: SessionShare | undefined
  readonly log: Log
}

/** Summaries that this process writes at the same time. */
const MOST_AT_ONCE = 2

export class Shortener {
  readonly #options: ShortenerOptions
  readonly #busy = new Set<KnownSession>()

  constructor(options: ShortenerOptions) {
    this.#options = options
  }

  /** Shortens the session if it is long; resolves when that is done, and also when it failed. */
  async consider(session: KnownSession, signal: AbortSignal): Promise<void> {
    const { summariser, maxTurns, log } = this.#options
    if (this.#busy.size >= MOST_AT_ONCE || this.#busy.has(session) || !summariser.isUsable()) return
    const old = session.history.slice(0, tooOld(session.history, maxTurns))
    const last = old.at(-1)
    if (!last) return
    this.#busy.add(session)
    try {
      await this.#shorten(session, old, last, signal)
    } catch (error) {
      log.warn({ code: toAppError(error).code }, 'a session was not summarised')
    } finally {
      this.#busy.delete(session)
    }
  }

  async #shorten(session: KnownSession, old: readonly Kept[], last: Kept, signal: AbortSignal): Promise<void> {
    const { summariser, limitMs, share } = this.#options
    const { summary, born } = session
    const mayWrite = await share?.ask(({ redis, signal: life }) => redis.claimSummary(session, summary, limitMs, life))
    if (mayWrite === false) return
    const text = await within(limitMs, signal, (stop) => summariser.shorten({ summary, exchanges: old }, stop))
    const isIn = await share?.ask(({ redis, signal: life }) => redis.condense(session, born, last, text, life))
    if (isIn === false) return
    session.summary = text
    session.history = session.history.slice(session.history.findIndex(({ id }) => id === last.id) + 1)
  }
}
