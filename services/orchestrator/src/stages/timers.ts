/**
 * Timers of a conversation, set by the model for its user. Nothing rings by itself here: the next reply is told of what rang meanwhile, as a
 * reply is the only way to the user.
 */
import * as z from 'zod'

const LIMITS = { perSession: 16, sessions: 10_000, label: 64, seconds: 86_400 }

export const TimerArgs = z.discriminatedUnion('action', [
  z.strictObject({
    action: z.literal('set'),
    seconds: z.number().min(1).max(LIMITS.seconds),
    label: z.string().max(LIMITS.label).default('').describe('what it is for, such as tea'),
  }),
  z.strictObject({ action: z.literal('list') }),
  z.strictObject({ action: z.literal('cancel'), id: z.int() }),
])
export type TimerArgs = z.infer<typeof TimerArgs>

type Timer = { readonly id: number; readonly label: string; readonly at: Date }

export class Timers {
  readonly #now: () => Date
  /** By session, the one changed longest ago first. */
  readonly #timers = new Map<string, readonly Timer[]>()
  #lastId = 0

  constructor(now: () => Date = () => new Date()) {
    this.#now = now
  }

  /** What the model is told. Throws `RangeError` when there is no session, no such timer, or no room for another one. */
  act(session: string | undefined, args: TimerArgs): string {
    if (session === undefined) throw new RangeError('expected a session')
    const kept = this.#timers.get(session) ?? []
    if (args.action === 'list') return kept.map((timer) => this.#told(timer)).join('\n') || 'There is no timer.'
    if (args.action === 'set') return this.#set(session, kept, args)
    const others = kept.filter(({ id }) => id !== args.id)
    if (others.length === kept.length) throw new RangeError('expected the id of a timer')
    this.#keep(session, others)
    return 'It is cancelled.'
  }

  /** What to tell the user of timers that rang; `forget` them once it is told. */
  rung(session: string | undefined): { notices: string[]; forget: () => void } {
    const kept = (session !== undefined && this.#timers.get(session)) || []
    const rung = kept.filter(({ at }) => at <= this.#now())
    const forget = (): void => {
      if (session === undefined || rung.length === 0) return
      const left = this.#timers.get(session) ?? []
      this.#keep(
        session,
        left.filter((timer) => !rung.includes(timer)),
      )
    }
    return { notices: rung.map(({ label, at }) => `The timer${label && ` "${label}"`} rang at ${timeOf(at)}.`), forget }
  }

  #set(session: string, kept: readonly Timer[], { seconds, label }: Extract<TimerArgs, { action: 'set' }>): string {
    if (kept.length >= LIMITS.perSession) throw new RangeError('expected fewer timers')
    const timer = { id: ++this.#lastId, label, at: new Date(this.#now().getTime() + seconds * 1000) }
    this.#keep(session, [...kept, timer])
    return this.#told(timer)
  }

  #told({ id, label, at }: Timer): string {
    const left = Math.max(0, Math.round((at.getTime() - this.#now().getTime()) / 1000))
    return `Timer ${id}${label && ` "${label}"`} rings at ${timeOf(at)}, in ${left} seconds.`
  }

  #keep(session: string, timers: readonly Timer[]): void {
    this.#timers.delete(session)
    if (timers.length > 0) this.#timers.set(session, timers)
    for (const oldest of this.#timers.keys()) if (this.#timers.size > LIMITS.sessions) this.#timers.delete(oldest)
  }
}

const timeOf = (at: Date): string => at.toLocaleTimeString('en-GB')
