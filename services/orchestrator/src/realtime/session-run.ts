/** Carries out what a realtime session wants done (session.ts): it hears, holds turns, keeps what was said, and tells the client. */
import { toAppError } from '@hearth/shared/errors'
import type { AppError } from '@hearth/shared/errors'
import { systemTimer } from '@hearth/shared/waits'
import type { SetTimer } from '@hearth/shared/waits'
import type { EnteredSession } from '../sessions.ts'
import type { Exchange } from '../turn-events.ts'
import { requireVoice } from '../require-voice.ts'
import type { ClientEvent } from './client-events.ts'
import type { Captions } from './captions.ts'
import { faultOf } from './fault.ts'
import { Listener } from './listener.ts'
import type { CreateWatch } from './listener.ts'
import type { Heard } from '../stages/stt.ts'
import type { ServerEvent } from './server-events.ts'
import { sessionView } from './session-config.ts'
import type { SessionConfig } from './session-config.ts'
import { next } from './session.ts'
import { beginSession } from './session-state.ts'
import type { Effect, Order, SessionEvent, SessionState } from './session-state.ts'
import { TurnRun } from './turn-run.ts'
import type { TurnPlace, TurnRunOptions } from './turn-run.ts'

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

/** A turn that nobody has ordered yet, and what it was begun for. */
type Guess = {
  readonly itemId: string
  readonly run: TurnRun
  readonly heard: Promise<Heard>
  readonly stopHearing: AbortController
  readonly before: SessionState
  /** Its words became an item's. */
  isHeard: boolean
}

const SETTLE_LIMIT_MS = 10_000

export class SessionRun {
  #state: SessionState
  readonly #options: SessionRunOptions
  readonly #of: SessionOf
  readonly #listener: Listener
  readonly #life = new AbortController()
  readonly #alarms = new Map<string, () => void>()
  readonly #place: TurnPlace
  #before: readonly Exchange[] | undefined
  #born: string | undefined
  #isForgotten = false
  #turn: TurnRun | null = null
  #guess: Guess | null = null
  #settling: Promise<void> = Promise.resolve()
  /** Events that wait until it is known whether a voice exists. */
  #waiting: ClientEvent[] | null = null

  constructor(of: SessionOf, options: SessionRunOptions) {
    this.#of = of
    this.#options = options
    this.#state = beginSession(of.session, of.config)
    const { signal } = this.#life
    const { user, session, room } = of
    this.#listener = new Listener({
      stt: options.stages.stt,
      createWatch: options.createWatch,
      captions: options.captions,
      config: () => this.#state.config,
      tell: (event) => this.#take(event),
      onTrouble: (error) => this.#warn(error),
      signal,
    })
    this.#place = {
      user,
      session,
      room,
      signal,
      language: undefined,
      before: (entered) => this.#beforeThis(entered),
      tell: (responseId, news) => this.#take({ type: 'turn', responseId, news }),
    }
  }

  get state(): SessionState {
    return this.#state
  }

  /** Milliseconds of sound that wait to be heard, or events for a voice: the client is to wait then. */
  get isBehind(): boolean {
    return this.#listener.unheardMs > MOST_BEHIND.ms || (this.#waiting?.length ?? 0) > MOST_BEHIND.events
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

  /** Which beginning of its session it is part of, once it has entered it. */
  get born(): string | undefined {
    return this.#born
  }

  /** What was said is kept nowhere any more. */
  forget(): void {
    this.#isForgotten = true
  }

  /** Ends all its work. Resolves once what was said is kept. */
  async close(): Promise<void> {
    this.#take({ type: 'closed' })
    for (const cancel of this.#alarms.values()) cancel()
    this.#life.abort(new DOMException('the client left', 'AbortError'))
    await this.#turn?.ended
    await this.#settling
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
        return this.#hear(effect)
      case 'hear-given':
        return this.#listener.hearGiven(effect.itemId, effect.base64)
      case 'forget-sound':
        return this.#listener.forgetBefore(effect.beforeMs)
      case 'listen-anew':
        return this.#listener.listenAnew()
      case 'guess':
        return this.#guessAt(effect)
      case 'forget-guess':
        return this.#forgetGuess()
      case 'respond':
        return this.#respond(effect.order)
      case 'stop':
        return this.#turn?.stop()
      case 'settle':
        return this.#settle(effect.exchange)
      case 'alarm':
        return this.#setAlarm(effect)
    }
  }

  #hear({ itemId, fromMs, toMs }: Extract<Effect, { type: 'hear' }>): void {
    const guess = this.#guess?.itemId === itemId ? this.#guess : null
    if (guess) guess.isHeard = true
    this.#listener.hear(itemId, fromMs, toMs, guess?.heard)
  }

  #guessAt({ itemId, fromMs, toMs }: Extract<Effect, { type: 'guess' }>): void {
    this.#forgetGuess()
    if (!this.#options.mayGuess()) return
    const stopHearing = new AbortController()
    const heard = this.#listener.listenTo(fromMs, toMs, AbortSignal.any([this.#life.signal, stopHearing.signal]))
    heard.catch(() => {})
    const { config, items } = this.#state
    const order = { responseId: '', config: config.reply, items, soundOf: itemId, recite: null, isApart: false }
    const run = this.#begin(order, new Map([[itemId, heard]]))
    this.#guess = { itemId, run, heard, stopHearing, before: this.#state, isHeard: false }
  }

  #forgetGuess(): void {
    const guess = this.#guess
    this.#guess = null
    guess?.run.stop()
    if (guess?.isHeard === false) guess.stopHearing.abort(new DOMException('the speaker goes on', 'AbortError'))
  }

  /** What was begun on trust is taken when it answers just this. */
  #respond(order: Order): void {
    const guess = this.#guess
    const isRight =
      guess?.itemId === order.soundOf &&
      guess.before.config === this.#state.config &&
      order.items.slice(0, -1).every((item, at) => item === guess.before.items[at]) &&
      order.items.length === guess.before.items.length + 1
    if (guess && !isRight) this.#forgetGuess()
    this.#guess = null
    this.#turn = guess && isRight ? guess.run : this.#begin(order, new Map(this.#listener.hearings))
    this.#turn.release(order.responseId)
  }

  #begin(order: Order, hearings: ReadonlyMap<string, Promise<Heard>>): TurnRun {
    const language = this.#state.config.transcription?.language ?? undefined
    return new TurnRun(order, hearings, { ...this.#place, language }, this.#options)
  }

  #beforeThis(entered: EnteredSession): readonly Exchange[] {
    this.#born = entered.born
    this.#before ??= [...entered.history]
    return this.#before
  }

  /** Into the session of Hearth, behind the turn that may be in it. */
  #settle(exchange: Exchange): void {
    this.#settling = this.#settling
      .then(() => this.#add(exchange))
      .catch((error: unknown) => this.#warn(toAppError(error)))
  }

  async #add(exchange: Exchange): Promise<void> {
    if (this.#isForgotten) return
    const { user, session: id } = this.#of
    const session = await this.#options.sessions.enter(user, id, AbortSignal.timeout(SETTLE_LIMIT_MS))
    try {
      this.#beforeThis(session)
      session.add(exchange)
      const trouble = await session.kept()
      if (trouble) this.#warn(trouble)
    } finally {
      session.leave()
    }
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

const MOST_BEHIND = { ms: 10_000, events: 100 }
const LONGEST_UTTERANCE_MS = 60_000

/** The voice that an event asks for. */
function voiceIn(event: ClientEvent): string | undefined {
  const options =
    event.type === 'session.update' ? event.session : event.type === 'response.create' ? event.response : null
  return options?.audio?.output?.voice ?? undefined
}
