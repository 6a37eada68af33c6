/**
 * The conversation at work: takes what the reader does, what the server tells and what the sound does to the pure step (conversation.ts), and
 * does what it asks for. Everything that can be decided without a browser is decided there.
 */
import { appendAudio, sendSpeech, sendText, sessionUpdate, truncate } from './client-events.ts'
import type { Choices } from './client-events.ts'
import { EMPTY, next } from './conversation.ts'
import type { Conversation, Effect, PageEvent } from './conversation.ts'
import { eventsOf } from './event-stream.ts'
import { asServerEvents } from './generate-turn.ts'
import type { Wait } from './latency.ts'
import { insecureAdvice, refusalAdvice } from './microphone-advice.ts'
import type { Advice } from './microphone-advice.ts'
import { Microphone } from './microphone.ts'
import { decodePcm16, encodePcm16, loudness, WIRE_RATE_HZ } from './pcm.ts'
import type { ServerEvent } from './server-events.ts'
import type { Server } from './server.ts'
import { wordsOf } from './server.ts'
import { RealtimeSocket } from './socket.ts'
import type { SocketState } from './socket.ts'
import { openSound } from './sound.ts'
import type { Sound } from './sound.ts'
import { press, release, RELEASED } from './talk-button.ts'
import type { TalkStep } from './talk-button.ts'

export type TalkView = {
  readonly onConversation: (now: Conversation) => void
  readonly onEffect: (effect: Exclude<Effect, { type: 'play' | 'interrupt' | 'speech ended' }>) => void
  readonly onConnection: (state: SocketState) => void
  readonly onRecording: (isRecording: boolean) => void
  /** How loud the microphone is, 0 to 1. */
  readonly onLevel: (level: number) => void
  readonly onWait: (wait: Wait) => void
  readonly onAdvice: (advice: Advice) => void
}

export type TalkOptions = {
  readonly server: Server
  readonly view: TalkView
  readonly choices: () => Choices
  readonly place: () => { readonly session: string; readonly user: string }
}

/** The sound before the button was felt: a first syllable is often there. */
const BEFORE_PRESS_CHUNKS = 5
const NOTHING_TO_CANCEL = 'response_cancel_not_active'
const GENERATE_LIMIT_MS = 120_000

export class Talk {
  readonly #options: TalkOptions
  readonly #socket: RealtimeSocket
  #now: Conversation = EMPTY
  #sound: Promise<Sound | null> | null = null
  #speaker: Sound['speaker'] | null = null
  #microphone: Promise<Microphone | null> | null = null
  #button = RELEASED
  #isRecording = false
  #lastChunks: Float32Array[] = []
  /** Of all sound sent over this connection. */
  #sentMs = 0
  /** Since when somebody waits for a first sound. */
  #waiting: { readonly since: number; readonly isSpoken: boolean } | null = null
  #generating: AbortController | null = null

  constructor(options: TalkOptions) {
    this.#options = options
    this.#socket = new RealtimeSocket({
      address: () => this.#address(),
      onState: (state) => this.#connected(state),
      onEvent: (event) => this.#take(event),
    })
  }

  /** Opens a conversation of its own, with what was said in it before. */
  open(exchanges: readonly { user: string; reply: string }[]): void {
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

  /** Ends the reply that is being made or heard. */
  silence(): void {
    this.#generating?.abort()
    this.#take({ type: 'page.stopped' })
  }

  type(text: string): void {
    this.silence()
    void this.#openSound()
    const id = `item_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`
    this.#take({ type: 'page.typed', id, text })
    this.#waiting = { since: performance.now(), isSpoken: false }
    if (this.#socket.isOpen) for (const event of sendText(id, text)) this.#socket.send(event)
    else void this.#generate(id, text)
  }

  /** After a choice was changed. Hands-free listens from now on. Gives whether there is a microphone for it. */
  async settle(): Promise<boolean> {
    const { isHandsFree } = this.#options.choices()
    this.#button = RELEASED
    this.#record(false)
    this.#socket.send(sessionUpdate(this.#options.choices()))
    if (!isHandsFree) return true
    const isThere = (await this.#openMicrophone()) !== null
    this.#record(isThere && this.#options.choices().isHandsFree)
    return isThere
  }

  /** When nobody looks at the page and it does not listen by itself, the microphone is given back. */
  async rest(): Promise<void> {
    if (this.#options.choices().isHandsFree || this.#button.isRecording) return
    const microphone = await this.#microphone
    this.#microphone = null
    microphone?.close()
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
      this.#sentMs = 0
      this.#socket.send(sessionUpdate(this.#options.choices()))
    } else if (state === 'away') this.#take({ type: 'page.disconnected' })
    this.#options.view.onConnection(state)
  }

  #take(event: ServerEvent | PageEvent): void {
    if (event.type === 'error' && event.error.code === NOTHING_TO_CANCEL) return
    const responseId = this.#now.responseId
    const { conversation, effects } = next(this.#now, event)
    const isChanged = conversation !== this.#now
    this.#now = conversation
    for (const effect of effects) this.#do(effect, event.type.startsWith('page.') ? responseId : null)
    if (isChanged) this.#options.view.onConversation(conversation)
  }

  /** `cancelId`: a reply that the page has to end; the server has ended it itself when it heard speech. */
  #do(effect: Effect, cancelId: string | null): void {
    if (effect.type === 'play') this.#speaker?.play(effect.itemId, decodePcm16(effect.audio))
    else if (effect.type === 'interrupt') this.#interrupt(cancelId)
    else if (effect.type === 'speech ended')
      this.#waiting = { since: performance.now() - (this.#sentMs - effect.audioEndMs), isSpoken: true }
    else this.#options.view.onEffect(effect)
  }

  #interrupt(cancelId: string | null): void {
    const heard = this.#speaker?.stop()
    if (cancelId !== null) this.#socket.send({ type: 'response.cancel' })
    if (heard) this.#socket.send(truncate(heard.itemId, heard.ms))
  }

  #step({ button, action }: TalkStep): void {
    this.#button = button
    if (action === 'start') void this.#start()
    if (action === 'send') this.#send()
  }

  async #start(): Promise<void> {
    this.#options.view.onRecording(true)
    const microphone = await this.#openMicrophone()
    if (microphone && this.#button.isRecording) {
      this.#socket.send({ type: 'input_audio_buffer.clear' })
      for (const chunk of this.#lastChunks) this.#append(chunk)
      this.#record(true)
    } else {
      this.#button = RELEASED
      this.#record(false)
    }
  }

  #send(): void {
    const wasRecording = this.#isRecording
    this.#record(false)
    if (!wasRecording) return
    this.#waiting = { since: performance.now(), isSpoken: true }
    for (const event of sendSpeech()) this.#socket.send(event)
  }

  #record(isRecording: boolean): void {
    this.#isRecording = isRecording
    this.#options.view.onRecording(isRecording)
    if (!this.#options.choices().isHandsFree) this.#take({ type: 'page.recording', isRecording })
    if (!isRecording) this.#options.view.onLevel(0)
  }

  #onSound(samples: Float32Array): void {
    if (this.#isRecording) {
      this.#append(samples)
      this.#options.view.onLevel(Math.min(1, loudness(samples) * 6))
    } else this.#lastChunks = [...this.#lastChunks, samples].slice(-BEFORE_PRESS_CHUNKS)
  }

  #append(samples: Float32Array): void {
    if (this.#socket.send(appendAudio(encodePcm16(samples)))) this.#sentMs += (samples.length / WIRE_RATE_HZ) * 1000
  }

  #openSound(): Promise<Sound | null> {
    this.#sound ??= openSound((isPlaying) => this.#playing(isPlaying)).then((sound) => {
      this.#speaker = sound?.speaker ?? null
      return sound
    })
    return this.#sound
  }

  #playing(isPlaying: boolean): void {
    if (isPlaying && this.#waiting) {
      const { since, isSpoken } = this.#waiting
      this.#waiting = null
      this.#options.view.onWait({ ms: performance.now() - since, isSpoken })
    }
    this.#take({ type: 'page.playing', isPlaying })
  }

  /** Null, and advice for the reader, when there is none to have. */
  #openMicrophone(): Promise<Microphone | null> {
    this.#microphone ??= this.#askForMicrophone().then((microphone) => {
      if (!microphone) this.#microphone = null
      return microphone
    })
    return this.#microphone
  }

  async #askForMicrophone(): Promise<Microphone | null> {
    if (!isSecureContext) {
      this.#options.view.onAdvice(insecureAdvice(location))
      return null
    }
    try {
      const sound = await this.#openSound()
      return sound && (await Microphone.open(sound.context, (samples) => this.#onSound(samples)))
    } catch (error) {
      this.#options.view.onAdvice(refusalAdvice(error instanceof Error ? error.name : String(error)))
      return null
    }
  }

  async #generate(id: string, text: string): Promise<void> {
    const turn = `turn-of-${id}`
    const stop = new AbortController()
    this.#generating = stop
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(GENERATE_LIMIT_MS)])
    const { voice, language } = this.#options.choices()
    const asked = { text, ...this.#options.place(), ...(voice && { voice }), ...(language && { language }) }
    try {
      const init = { headers: { accept: 'text/event-stream' }, signal }
      const { body } = await this.#options.server.post('generate', asked, init)
      const pieces = piecesOf(body, signal)
      for await (const event of asServerEvents(eventsOf(pieces), turn)) this.#take(event)
    } catch (error) {
      const isStopped = stop.signal.aborted
      this.#take({ type: 'response.done', response: { id: turn, status: isStopped ? 'cancelled' : 'failed' } })
      if (!isStopped) this.#options.view.onEffect({ type: 'notice', text: wordsOf(error) })
    }
  }
}

/** By hand, as not every browser can iterate a stream. */
async function* piecesOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
  for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
    signal.throwIfAborted()
    yield piece.value
  }
}
