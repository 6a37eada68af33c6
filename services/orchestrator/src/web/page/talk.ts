/**
 * The conversation at work: takes what the reader does, what the server tells and what the sound does to the pure step (conversation.ts), and
 * does what it asks for. Everything that can be decided without a browser is decided there.
 */
import { appendAudio, sendSpeech, sendText, sessionUpdate, truncate } from './client-events.ts'
import type { Choices } from './client-events.ts'
import { EMPTY, next } from './conversation.ts'
import type { Conversation, Effect, PageEvent } from './conversation.ts'
import { Ears } from './ears.ts'
import type { EarsOptions } from './ears.ts'
import { generateTurn } from './generate-turn.ts'
import type { Wait } from './latency.ts'
import { decodePcm16, encodePcm16, loudness, WIRE_RATE_HZ } from './pcm.ts'
import type { ServerEvent } from './server-events.ts'
import type { Exchange, Server } from './server.ts'
import { wordsOf } from './server.ts'
import { RealtimeSocket } from './socket.ts'
import type { SocketState } from './socket.ts'
import { Sound } from './sound.ts'
import { press, release, RELEASED } from './talk-button.ts'
import type { TalkStep } from './talk-button.ts'
import { WaitClock } from './wait-clock.ts'

/** What is for the eyes. */
export type ShownEffect = Exclude<Effect, { type: 'play' | 'interrupt' | 'speech began' | 'speech ended' }>

export type TalkView = Pick<EarsOptions, 'onLevel' | 'onAdvice'> & {
  readonly onConversation: (now: Conversation) => void
  readonly onEffect: (effect: ShownEffect) => void
  readonly onConnection: (state: SocketState) => void
  readonly onRecording: (isRecording: boolean) => void
  readonly onWait: (wait: Wait) => void
}

export type TalkOptions = {
  readonly server: Server
  readonly view: TalkView
  readonly choices: () => Choices
  readonly place: () => { readonly session: string; readonly user: string }
}

const NOTHING_TO_CANCEL = 'response_cancel_not_active'
const GENERATE_LIMIT_MS = 120_000

export class Talk {
  readonly #options: TalkOptions
  readonly #socket: RealtimeSocket
  readonly #ears: Ears
  #now: Conversation = EMPTY
  readonly #sound = new Sound((isPlaying) => this.#playing(isPlaying))
  readonly #clock = new WaitClock(() => performance.now())
  #button = RELEASED
  #wasOpen = false
  #generating: AbortController | null = null

  constructor(options: TalkOptions) {
    this.#options = options
    this.#socket = new RealtimeSocket({
      address: () => this.#address(),
      onState: (state) => this.#connected(state),
      onEvent: (event) => this.#take(event),
    })
    this.#ears = new Ears({
      ...options.view,
      openSound: () => this.#sound.open(),
      onSound: (samples) => this.#append(samples),
    })
  }

  /** Opens a conversation of its own, with what was said in it before. */
  begin(exchanges: readonly Exchange[]): void {
    this.silence()
    this.#take({ type: 'page.opened', exchanges })
    this.#socket.connect()
  }

  press(): void {
    this.#step(press(this.#button, performance.now()))
  }

  release(): void {
    this.#step(release(this.#button, performance.now()))
  }

  /** Hands-free, listening can pause. What was not finished by then is forgotten. */
  pause(): void {
    const isRecording = !this.#ears.isRecording
    if (!isRecording) this.#socket.send({ type: 'input_audio_buffer.clear' })
    this.#record(isRecording)
  }

  /** Ends the reply that is being made or heard. */
  silence(): void {
    this.#generating?.abort()
    this.#take({ type: 'page.stopped' })
  }

  type(text: string): void {
    this.silence()
    this.#sound.open().catch((error: unknown) => this.#options.view.onEffect({ type: 'notice', text: wordsOf(error) }))
    const id = `item_${crypto.getRandomValues(new Uint32Array(4)).join('')}`.slice(0, 32)
    this.#take({ type: 'page.typed', id, text })
    this.#clock.typed()
    if (this.#socket.isOpen) for (const event of sendText(id, text)) this.#socket.send(event)
    else void this.#generate(`turn-of-${id}`, text)
  }

  /** After a choice was changed. Hands-free listens from now on. Gives whether there is a microphone for it. */
  async settle(): Promise<boolean> {
    const { isHandsFree } = this.#options.choices()
    this.#button = RELEASED
    this.#record(false)
    this.#socket.send(sessionUpdate(this.#options.choices()))
    if (!isHandsFree) return true
    const isThere = await this.#ears.open()
    this.#record(isThere && this.#options.choices().isHandsFree)
    return isThere
  }

  /** When nobody looks at the page and it does not listen by itself, the microphone is given back. */
  async rest(): Promise<void> {
    if (!this.#options.choices().isHandsFree && !this.#button.isRecording) await this.#ears.rest()
  }

  #address(): { url: URL; protocols: string[] } {
    const { session, user } = this.#options.place()
    const { key } = this.#options.server
    const url = new URL('v1/realtime', document.baseURI)
    url.protocol = url.protocol.replace('http', 'ws')
    url.search = String(new URLSearchParams({ model: 'hearth', hearth: 'true', session, user }))
    return { url, protocols: ['realtime', ...(key === null ? [] : [`openai-insecure-api-key.${key}`])] }
  }

  #connected(state: SocketState): void {
    if (state === 'open') {
      this.#clock.reset()
      this.#socket.send(sessionUpdate(this.#options.choices()))
    } else if (this.#wasOpen) this.#take({ type: 'page.disconnected' })
    this.#wasOpen = state === 'open'
    this.#options.view.onConnection(state)
  }

  #take(event: ServerEvent | PageEvent): void {
    if (event.type === 'error' && event.error.code === NOTHING_TO_CANCEL) return
    const before = this.#now
    const { conversation, effects } = next(before, event)
    this.#now = conversation
    // A reply that the server has broken off itself, as it heard speech, need not be cancelled.
    const cancelId = event.type.startsWith('page.') ? before.responseId : null
    for (const effect of effects) this.#do(effect, cancelId)
    if (conversation !== before) this.#options.view.onConversation(conversation)
  }

  #do(effect: Effect, cancelId: string | null): void {
    switch (effect.type) {
      case 'play':
        return this.#sound.play(effect.itemId, decodePcm16(effect.audio))
      case 'interrupt':
        return this.#interrupt(cancelId)
      case 'speech began':
        return this.#clock.speechBegan(effect.atMs)
      case 'speech ended':
        return this.#clock.speechEnded(effect.atMs)
      default:
        this.#options.view.onEffect(effect)
    }
  }

  #interrupt(cancelId: string | null): void {
    const heard = this.#sound.stop()
    if (cancelId !== null) this.#socket.send({ type: 'response.cancel' })
    if (heard) this.#socket.send(truncate(heard.itemId, heard.ms))
  }

  #step({ button, action }: TalkStep): void {
    this.#button = button
    if (action === 'start') void this.#start()
    if (action === 'send') this.#send()
  }

  async #start(): Promise<void> {
    this.silence()
    this.#options.view.onRecording(true)
    const isThere = await this.#ears.open()
    if (isThere && this.#button.isRecording) {
      this.#socket.send({ type: 'input_audio_buffer.clear' })
      return this.#record(true)
    }
    this.#button = RELEASED
    this.#record(false)
  }

  #send(): void {
    const wasRecording = this.#ears.isRecording
    this.#record(false)
    if (!wasRecording) return
    this.#clock.released()
    for (const event of sendSpeech()) this.#socket.send(event)
  }

  #record(isRecording: boolean): void {
    this.#ears.record(isRecording)
    this.#options.view.onRecording(isRecording)
    const { isHandsFree } = this.#options.choices()
    this.#take({ type: 'page.recording', isRecording: isRecording && !isHandsFree })
  }

  #append(samples: Float32Array): void {
    if (this.#socket.send(appendAudio(encodePcm16(samples))))
      this.#clock.sent((samples.length / WIRE_RATE_HZ) * 1000, loudness(samples))
  }

  #playing(isPlaying: boolean): void {
    const wait = isPlaying ? this.#clock.soundBegan() : null
    if (wait) this.#options.view.onWait(wait)
    this.#take({ type: 'page.playing', isPlaying })
  }

  /** Without a socket. */
  async #generate(turn: string, text: string): Promise<void> {
    const stop = new AbortController()
    this.#generating = stop
    const { voice, language } = this.#options.choices()
    const asked = { text, ...this.#options.place(), voice, language }
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(GENERATE_LIMIT_MS)])
    try {
      for await (const event of generateTurn(this.#options.server, asked, turn, signal)) this.#take(event)
    } catch (error) {
      const isStopped = stop.signal.aborted
      this.#take({ type: 'response.done', response: { id: turn, status: isStopped ? 'cancelled' : 'failed' } })
      if (!isStopped) this.#options.view.onEffect({ type: 'notice', text: wordsOf(error) })
    }
  }
}
