/**
 * The turns of the last hour, for whoever asks what was said in one of them and where its time went. A record is written
 * while its turn runs, so that a client who hears the first clause can already read the transcript.
 */
import { randomBytes } from 'node:crypto'
import type { RecalledMemory, TurnModels } from '@hearth/shared/api'
import { toAppError } from '@hearth/shared/errors'
import type { Waterfall } from '@hearth/shared/stage-clock'
import type { EnteredSession } from './sessions.ts'
import { endingBody } from './turn-ending.ts'
import type { EndingBody } from './turn-ending.ts'
import type { TurnClock, TurnEvent, TurnStage, TurnTimings } from './turn-events.ts'

export type TurnRecord = EndingBody & {
  readonly id: string
  readonly session: string
  /** Cancelled: nobody read the turn to its end. */
  readonly status: 'running' | 'completed' | 'failed' | 'cancelled'
  /** ISO 8601. */
  readonly createdAt: string
  /** Null until it is known. */
  readonly transcript: string | null
  readonly memories: readonly RecalledMemory[]
  readonly reply: string
  /** Code of the reply's language, when it is known. */
  readonly language: string | null
  readonly timings: TurnTimings
  readonly waterfall: Waterfall<TurnStage>
  /** Null until the turn has ended well. */
  readonly models: TurnModels | null
  readonly degraded: readonly string[]
  /** The code of what ended the turn. */
  readonly error: string | null
}

export type TurnsOptions = {
  readonly maxTurns?: number
  readonly keptMs?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** Writes down one turn as it happens. */
export type TurnRecorder = {
  readonly id: string
  see(event: TurnEvent): void
  /** Nothing more comes, because of `reason`; without effect after `done`, or the second time. */
  end(reason: unknown): void
}

type Kept = { readonly createdMs: number; readonly born: string; readonly read: () => TurnRecord }

type TurnOf = Pick<EnteredSession, 'id' | 'born'>

const MOST_TURNS = 1000
const HOUR_MS = 3_600_000

export class Turns {
  readonly #maxTurns: number
  readonly #keptMs: number
  readonly #now: () => number
  /** Oldest first. */
  readonly #turns = new Map<string, Kept>()

  constructor({ maxTurns = MOST_TURNS, keptMs = HOUR_MS, now = Date.now }: TurnsOptions = {}) {
    this.#maxTurns = maxTurns
    this.#keptMs = keptMs
    this.#now = now
  }

  begin({ id, born }: TurnOf, clock: TurnClock): TurnRecorder {
    const createdMs = this.#now()
    const { recorder, read } = record(id, new Date(createdMs).toISOString(), clock)
    this.#turns.set(recorder.id, { createdMs, born, read })
    this.#sweep()
    return recorder
  }

  /** Undefined when there was none of that id, or too long ago. */
  get(id: string): TurnRecord | undefined {
    this.#sweep()
    return this.#turns.get(id)?.read()
  }

  /** Forgets what was said in that beginning of a session. */
  forgetSession(born: string): void {
    for (const [id, kept] of this.#turns) if (kept.born === born) this.#turns.delete(id)
  }

  #sweep(): void {
    const oldest = this.#now() - this.#keptMs
    for (const [id, { createdMs }] of this.#turns) {
      if (createdMs > oldest && this.#turns.size <= this.#maxTurns) return
      this.#turns.delete(id)
    }
  }
}

function record(session: string, createdAt: string, clock: TurnClock) {
  /** Not kept longer than the turn runs: a thousand records are. */
  let running: TurnClock | null = clock
  let told: TurnRecord = {
    id: newTurnId(),
    session,
    status: 'running',
    createdAt,
    transcript: null,
    memories: [],
    reply: '',
    language: null,
    ...clock.report(),
    models: null,
    degraded: [],
    error: null,
  }
  const end = (last: Partial<TurnRecord>): void => {
    if (running) told = { ...told, ...running.report(), ...last }
    running = null
  }
  const recorder: TurnRecorder = {
    id: told.id,
    see(event) {
      if (event.type === 'transcript') told = { ...told, transcript: event.text }
      if (event.type === 'memory') told = { ...told, memories: event.memories }
      if (event.type === 'reply.delta') told = { ...told, reply: told.reply + event.text }
      if (event.type !== 'done') return
      const { reply, language, models, degraded, ending, timings, waterfall } = event
      end({
        ...endingBody(ending),
        reply,
        language,
        timings,
        waterfall,
        models,
        degraded: [...degraded.keys()],
        status: 'completed',
      })
    },
    end(reason) {
      const code = reason === undefined ? 'cancelled' : toAppError(reason).code
      end({ status: code === 'cancelled' ? 'cancelled' : 'failed', error: code })
    },
  }
  return { recorder, read: () => ({ ...told, ...running?.report() }) }
}

/** 144 random bits, so that only who was told of a turn can read it. */
const newTurnId = (): string => `turn_${randomBytes(18).toString('base64url')}`
