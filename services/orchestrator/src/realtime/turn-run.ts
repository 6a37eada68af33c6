/**
 * One response's turn: the same `runTurn` that `POST /generate` holds, told piece by piece. It may begin before anybody has asked for it:
 * then it works ahead, and what it would tell, keep or remember waits for `release`.
 */
import { AppError, toAppError } from '@hearth/shared/errors'
import { HEADERS } from '@hearth/shared/api'
import type { RecalledMemory } from '@hearth/shared/api'
import { StageClock } from '@hearth/shared/stage-clock'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import { orAborted } from '@hearth/shared/waits'
import type { Admission } from '../admission.ts'
import { observeTurn } from '../observe-turn.ts'
import type { EnteredSession, Sessions } from '../sessions.ts'
import type { Heard } from '../stages/stt.ts'
import { withTrace } from '../stages/trace.ts'
import { streamOf } from '../stream.ts'
import { runTurn } from '../turn.ts'
import { TURN_STAGES } from '../turn-events.ts'
import type { Exchange, Stages, TurnClock, TurnEvent } from '../turn-events.ts'
import type { Turns } from '../turns.ts'
import { faultOf } from './fault.ts'
import type { TurnTold } from './server-events.ts'
import type { ReplyConfig } from './session-config.ts'
import type { Order, TurnNews } from './session-state.ts'
import { piecesOf } from './sound-out.ts'
import { askedOf, stagesFor, writingOf } from './turn-order.ts'
import type { Hearings } from './turn-order.ts'

export type TurnRunOptions = {
  readonly stages: Stages
  readonly sessions: Sessions
  readonly turns: Turns
  readonly admission: Admission
  readonly turnLimitMs: number
  /** Exchanges that a prompt looks back. */
  readonly maxHistory: number
  readonly log: Log
  readonly metrics: Metrics
}

/** The conversation that a turn is part of. */
export type TurnPlace = {
  readonly user: string
  readonly session: string
  /** As it was before this connection. */
  readonly before: (session: EnteredSession) => readonly Exchange[]
  readonly language?: string | undefined
  /** Resolves when the client has room for more. */
  readonly room: (signal: AbortSignal) => Promise<void>
  readonly tell: (responseId: string, news: TurnNews) => void
  readonly signal: AbortSignal
}

/** Events that a turn works ahead of its listener. */
const AHEAD = 32

export class TurnRun {
  readonly order: Order
  readonly #options: TurnRunOptions
  readonly #place: TurnPlace
  readonly #stopping = new AbortController()
  readonly #signal: AbortSignal
  readonly #released = Promise.withResolvers<string>()
  /** The name under which the turn is on record. */
  readonly #recorded = Promise.withResolvers<string>()
  #held: { readonly responseId: string; readonly turn: string } | undefined
  #memories: readonly RecalledMemory[] = []
  readonly #clock: TurnClock = new StageClock(TURN_STAGES)
  readonly #requestId = crypto.randomUUID()
  readonly #ended: Promise<void>

  constructor(order: Order, hearings: Hearings, place: TurnPlace, options: TurnRunOptions) {
    this.order = order
    this.#options = options
    this.#place = place
    const limit = AbortSignal.timeout(options.turnLimitMs)
    this.#signal = this.#traced(AbortSignal.any([place.signal, this.#stopping.signal, limit]))
    this.#ended = this.#run(hearings)
  }

  /** From now on it is told, under that name. */
  release(responseId: string): void {
    this.#released.resolve(responseId)
  }

  /** Ends its work wherever it is. */
  stop(): void {
    this.#stopping.abort(new AppError('cancelled', 'the response was cancelled'))
  }

  /** Resolves once nothing of it runs any more. */
  get ended(): Promise<void> {
    return this.#ended
  }

  #traced = (signal: AbortSignal): AbortSignal => withTrace(signal, { [HEADERS.requestId]: this.#requestId })

  async #run(hearings: Hearings): Promise<void> {
    try {
      const leave = this.#options.admission.enter()
      await this.#inSession(hearings).finally(leave)
    } catch (thrown) {
      await this.#fail(thrown)
      this.#report()
    }
  }

  /** What a turn came to that did not reach its end. */
  #report(): void {
    const held = this.#held && this.#options.turns.get(this.#held.turn)
    if (!this.#held || !held) return
    const { id: turn, status, timings, waterfall, memories, models, degraded } = held
    const told = { turn, status, timings, waterfall, memories, models, degraded }
    this.#place.tell(this.#held.responseId, { type: 'report', told })
  }

  async #fail(thrown: unknown): Promise<void> {
    const ends = AbortSignal.any([this.#stopping.signal, this.#place.signal])
    if (ends.aborted) return
    const error = toAppError(thrown)
    const { log } = this.#options
    log.warn({ requestId: this.#requestId, code: error.code, err: error.cause ?? error }, 'response broken off')
    const responseId = await orAborted(this.#released.promise, ends).catch(() => null)
    if (responseId !== null) this.#place.tell(responseId, { type: 'failed', fault: faultOf(error) })
  }

  async #inSession(hearings: Hearings): Promise<void> {
    const { user, session: id } = this.#place
    const enter = () => this.#options.sessions.enter(user, id, this.#signal)
    const session = await this.#clock.time('session', enter)
    try {
      const signal = this.#traced(AbortSignal.any([this.#signal, session.deleted]))
      await this.#hold(session, hearings, signal)
    } finally {
      session.leave()
    }
  }

  async #hold(session: EnteredSession, hearings: Hearings, signal: AbortSignal): Promise<void> {
    const { turns, log, metrics } = this.#options
    const held = this.#ahead(await this.#events(session, hearings, signal), signal)
    const responseId = await orAborted(this.#released.promise, signal)
    const record = turns.begin(session, this.#clock)
    this.#recorded.resolve(record.id)
    this.#held = { responseId, turn: record.id }
    // At that moment, while the stages are at work.
    signal.addEventListener('abort', () => record.end(signal.reason), { once: true })
    const about = { requestId: this.#requestId, record, clock: this.#clock, kept: () => session.kept(), log, metrics }
    try {
      for await (const event of observeTurn(held, about)) await this.#tell(responseId, event, record.id, signal)
    } finally {
      record.end(signal.reason)
    }
  }

  async #events(session: EnteredSession, hearings: Hearings, signal: AbortSignal) {
    const { order } = this
    const { user, language } = this.#place
    const { stages, maxHistory } = this.#options
    const { said, history, system, isSaid } = await orAborted(askedOf(order, hearings), signal)
    const before = order.isApart ? [] : this.#place.before(session)
    const { config } = order
    const input = {
      said,
      user,
      language,
      voice: config.voice,
      speak: config.modality === 'audio',
      remember: isSaid && order.recite === null && !order.isApart,
      writing: writingOf(config),
      instructions: [config.instructions, ...system].join('\n\n'),
      session: {
        id: session.id,
        history: [...before, ...history].slice(-maxHistory),
        summary: session.summary ?? '',
        // Kept when it is known how much of it was heard (`settle`).
        add: () => {},
      },
    }
    const heard: Promise<Heard> | undefined = order.soundOf === null ? undefined : hearings.get(order.soundOf)
    const remember: Stages['memory']['remember'] = async (what, stop) => {
      const turn = await orAborted(this.#recorded.promise, stop)
      await stages.memory.remember({ ...what, turn }, stop)
    }
    return runTurn(input, stagesFor(order, { stages, heard, remember }), this.#clock, signal)
  }

  /** Reads the turn before anybody listens, so that it goes on. */
  #ahead(events: AsyncIterable<TurnEvent>, signal: AbortSignal): AsyncIterable<TurnEvent> {
    const stream = streamOf<TurnEvent>(AHEAD, signal, async (emit) => {
      for await (const event of events) await emit(event)
    })
    const first = stream.next()
    first.catch(() => {})
    return (async function* () {
      const { done, value } = await first
      if (done) return
      yield value
      yield* stream
    })()
  }

  async #tell(responseId: string, event: TurnEvent, turn: string, signal: AbortSignal): Promise<void> {
    if (event.type === 'memory') this.#memories = event.memories
    for await (const news of newsOf(event, this.order.config, { turn, memories: this.#memories }, signal)) {
      await this.#place.room(signal)
      signal.throwIfAborted()
      this.#place.tell(responseId, news)
    }
  }
}

async function* newsOf(
  event: TurnEvent,
  { format }: ReplyConfig,
  about: Pick<TurnTold, 'turn' | 'memories'>,
  signal: AbortSignal,
): AsyncGenerator<TurnNews, void, void> {
  switch (event.type) {
    case 'memory':
      return
    case 'audio': {
      const { text, pcm, sampleRateHz } = event
      yield { type: 'fragment', text, ms: (pcm.length / 2 / sampleRateHz) * 1000 }
      for await (const piece of piecesOf(pcm, sampleRateHz, format, signal)) yield { type: 'audio', ...piece }
      return
    }
    case 'done': {
      const { timings, waterfall, models, ending } = event
      const told = {
        ...about,
        status: 'completed' as const,
        timings,
        waterfall,
        models,
        degraded: [...event.degraded.keys()],
      }
      yield { type: 'done', ending, told }
      return
    }
    default:
      yield event
  }
}
