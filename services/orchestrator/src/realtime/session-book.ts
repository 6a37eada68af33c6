/** The session of Hearth that a conversation belongs to: what was said in it before, and what is added once it is certain. */
import { toAppError } from '@hearth/shared/errors'
import type { AppError } from '@hearth/shared/errors'
import type { EnteredSession, Sessions } from '../sessions.ts'
import type { Exchange } from '../turn-events.ts'

export type SessionBookOptions = {
  readonly user: string
  readonly session: string
  readonly sessions: Sessions
  /** How long a turn may be in the session. */
  readonly turnLimitMs: number
  readonly onTrouble: (error: AppError) => void
}

/** To enter the session, once no turn is in it. */
const ENTER_LIMIT_MS = 10_000

export class SessionBook {
  readonly #options: SessionBookOptions
  #before: readonly Exchange[] | undefined
  #born: string | undefined
  #isForgotten = false
  #settling: Promise<void> = Promise.resolve()

  constructor(options: SessionBookOptions) {
    this.#options = options
  }

  /** Which beginning of the session it is, once it was entered. */
  get born(): string | undefined {
    return this.#born
  }

  /** Resolves once all that was to be kept is kept. */
  get settled(): Promise<void> {
    return this.#settling
  }

  /** What was said before this conversation; what has been added since is not part of it. */
  before = (entered: EnteredSession): readonly Exchange[] => {
    this.#born = entered.born
    this.#before ??= [...entered.history]
    return this.#before
  }

  /** Somebody has deleted it: nothing is kept any more. */
  forget(): void {
    this.#isForgotten = true
  }

  /** Behind the turn that may be in the session. */
  settle(exchange: Exchange): void {
    this.#settling = this.#settling
      .then(() => this.#add(exchange))
      .catch((error: unknown) => this.#options.onTrouble(toAppError(error)))
  }

  async #add(exchange: Exchange): Promise<void> {
    if (this.#isForgotten) return
    const { user, session: id, sessions, turnLimitMs, onTrouble } = this.#options
    // The next turn may have begun on trust, before this exchange was certain.
    const session = await sessions.enter(user, id, AbortSignal.timeout(turnLimitMs + ENTER_LIMIT_MS))
    try {
      this.before(session)
      session.add(exchange)
      const trouble = await session.kept()
      if (trouble) onTrouble(trouble)
    } finally {
      session.leave()
    }
  }
}
