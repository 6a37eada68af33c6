/** Carries out what a realtime session wants done (session.ts): it hears, holds turns, keeps what was said, and tells the client. */
import { toAppError } from '@hearth/shared/errors'
import type { AppError } from '@hearth/shared/errors'
import { systemTimer } from '@hearth/shared/waits'
import type { SetTimer } from '@hearth/shared/waits'
import { requireVoice } from '../require-voice.ts'
import { newId } from '../session-table.ts'
import type { ClientEvent } from './client-events.ts'
import type { Captions } from './captions.ts'
import { faultOf } from './fault.ts'
import { Listener } from './listener.ts'
import type { CreateWatch } from './listener.ts'
import type { ServerEvent } from './server-events.ts'
import { sessionView } from './session-config.ts'
import type { SessionConfig } from './session-config.ts'
import { SessionBook } from './session-book.ts'
import { next } from './session.ts'
import { beginSession } from './session-state.ts'
import type { Effect, SessionEvent, SessionState, TurnNews } from './session-state.ts'
import { TurnDesk } from './turn-desk.ts'
import type { TurnRunOptions } from './turn-run.ts'

export type SessionRunOptions = TurnRunOptions & {
  readonly createWatch: CreateWatch
  readonly captions?: Captions
  /** Whether the machine has time for work that may be thrown away. */
  readonly mayGuess: () => boolean
  readonly setTimer?: SetTimer
  readonly now?: () => number
}

export type SessionOf = {
  readonly user: string
  readonly session: string
  readonly config: SessionConfig
  readonly send: (event: ServerEvent) => void
  readonly room: (signal: AbortSignal) => Promise<void>
}

/** Beyond that a client is to wait: milliseconds of sound to be heard, events behind a voice, sounds without their words. */
const MOST_BEHIND = { ms: 10_000, events: 100, hearings: 16 }
const LONGEST_UTTERANCE_MS = 60_000
/** Clients bound the length of ids. */
const CONNECTION_CHARS = 16

export class SessionRun {
  #state: SessionState
  readonly #options: SessionRunOptions
  readonly #of: SessionOf
  readonly #listener: Listener
  readonly #life = new AbortController()
  readonly #alarms = new Map<string, () => void>()
  readonly #book: SessionBook
  readonly #desk: TurnDesk
  /** Events that wait until it is known whether a voice exists. */
  #waiting: ClientEvent[] | null = null

  constructor(of: SessionOf, options: SessionRunOptions) {
    this.#of = of
    this.#options = options
    this.#state = beginSession(of.session, newId().slice(0, CONNECTION_CHARS), of.config)
    const { signal } = this.#life
    const onTrouble = (error: AppError) => this.#warn(error)
    const tell = (event: SessionEvent) => this.#take(event)
    this.#book = new SessionBook({ ...of, sessions: options.sessions, turnLimitMs: options.turnLimitMs, onTrouble })
    const { before } = this.#book
    const place = {
      ...of,
      signal,
      before,
      tell: (responseId: string, news: TurnNews) => tell({ type: 'turn', responseId, news }),
    }
    this.#desk = new TurnDesk(place, options)
    const { captions, createWatch, stages } = options
    const config = () => this.#state.config
    this.#listener = new Listener({ stt: stages.stt, createWatch, captions, config, tell, onTrouble, signal })
  }

  /** More waits than is to be kept: the client is to wait too. */
  get isBehind(): boolean {
    const { unheardMs, hearings } = this.#listener
    const { ms, events } = MOST_BEHIND
    return unheardMs > ms || hearings.size > MOST_BEHIND.hearings || (this.#waiting?.length ?? 0) > events
  }

  begin(): void {
    this.#of.send({ type: 'session.created', session: sessionView(this.#state.id, this.#state.config) })
  }

  /** What the client sends, in its order. */
  take(event: ClientEvent): void {
    if (this.#waiting) return void this.#waiting.push(event)
    const voice = voiceIn(event)
    if (voice === undefined || voice === this.#state.config.reply.voice) this.#takeClient(event)
    else void this.#afterVoice(voice, event)
  }

  fault(error: AppError, eventId: string | null): void {
    this.#take({ type: 'fault', fault: faultOf(error), eventId })
  }

  /** The session of Hearth that it belongs to. */
  get book(): SessionBook {
    return this.#book
  }

  /** Ends all its work. Resolves once what was said is kept. */
  async close(): Promise<void> {
    this.#take({ type: 'closed' })
    for (const cancel of this.#alarms.values()) cancel()
    this.#life.abort(new DOMException('the client left', 'AbortError'))
    await this.#desk.ended
    await this.#book.settled
  }

  async #afterVoice(voice: string, event: ClientEvent): Promise<void> {
    this.#waiting = []
    try {
      await requireVoice(voice, this.#options.stages.tts, this.#life.signal)
      this.#takeClient(event)
    } catch (error) {
      if (!this.#life.signal.aborted) this.fault(toAppError(error), event.event_id ?? null)
    }
    const waiting = this.#waiting
    this.#waiting = null
    for (const late of waiting) this.take(late)
  }

  #takeClient(event: ClientEvent): void {
    if (event.type !== 'input_audio_buffer.append') return this.#take({ type: 'client', event })
    try {
      this.#listener.append(event.audio)
    } catch (error) {
      return this.fault(toAppError(error), event.event_id ?? null)
    }
    this.#boundSound()
  }

  /** Silence is forgotten, and who never pauses is answered all the same. */
  #boundSound(): void {
    const { config, utterance, sound } = this.#state
    if (!config.turnDetection) return
    if (!utterance) this.#listener.forgetSilence()
    else if (sound.receivedMs - utterance.startMs > LONGEST_UTTERANCE_MS) {
      this.#take({ type: 'speech', what: 'stopped', atMs: sound.receivedMs, speechMs: LONGEST_UTTERANCE_MS })
      this.#listener.listenAnew()
    }
  }

  #take(event: SessionEvent): void {
    const { now = () => performance.now() } = this.#options
    const { state, effects } = next(this.#state, event, now())
    this.#state = state
    for (const effect of effects) this.#do(effect)
    this.#listener.caption(state.utterance)
  }

  #do(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        return this.#of.send(effect.event)
      case 'hear':
        return this.#listener.hear(effect, this.#desk.takeHearing(effect.itemId))
      case 'hear-given':
        return this.#listener.hearGiven(effect.itemId, effect.base64)
      case 'forget-sound':
        return this.#listener.forgetBefore(effect.beforeMs)
      case 'listen-anew':
        return this.#listener.listenAnew()
      case 'listen-on':
        return this.#listener.listenOn(effect.fromMs)
      case 'guess':
        return this.#guess(effect)
      case 'forget-guess':
        return this.#desk.forgetGuess()
      case 'respond':
        return this.#desk.respond(effect.order, this.#state, this.#listener.hearings)
      case 'stop':
        return this.#desk.stop()
      case 'settle':
        return this.#book.settle(effect.exchange)
      case 'alarm':
        return this.#setAlarm(effect)
    }
  }

  #guess({ itemId, fromMs, toMs }: Extract<Effect, { type: 'guess' }>): void {
    if (this.#options.mayGuess())
      this.#desk.guess(itemId, this.#state, (signal) => this.#listener.listenTo(fromMs, toMs, signal))
  }

  #setAlarm({ kind, responseId, afterMs }: Extract<Effect, { type: 'alarm' }>): void {
    const { setTimer = systemTimer } = this.#options
    this.#alarms.get(kind)?.()
    this.#alarms.set(
      kind,
      setTimer(() => this.#take({ type: 'alarm', kind, responseId }), afterMs),
    )
  }

  #warn(error: AppError): void {
    const { session } = this.#of
    this.#options.log.warn({ session, code: error.code, err: error.cause ?? error }, 'realtime session')
  }
}

/** The voice that an event asks for. */
function voiceIn(event: ClientEvent): string | undefined {
  const options =
    event.type === 'session.update' ? event.session : event.type === 'response.create' ? event.response : null
  return options?.audio?.output?.voice ?? undefined
}
