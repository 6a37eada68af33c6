/** The side of a conversation that hears: the sound that comes, who speaks when in it, and what is said in a stretch of it. */
import { AppError, toAppError } from '@hearth/shared/errors'
import type { Heard, SpeechToText } from '../stages/stt.ts'
import { readSound, rateOf, SoundIn, wavOf } from './sound-in.ts'
import type { SessionConfig, TurnDetection } from './session-config.ts'
import type { Effect, SessionEvent, Utterance } from './session-state.ts'
import type { Caption, Captions } from './captions.ts'

export type Speech = Extract<SessionEvent, { type: 'speech' }>

/** Finds speech in one conversation's sound. */
export type Watch = {
  /** `pcm` is s16le at `rateHz`, the next of the sound; resolves with what shows by then. Positions count from the watch's beginning. */
  push(pcm: Buffer, rateHz: number, signal: AbortSignal): Promise<readonly Speech[]>
  /** Other settings from here on; an utterance under way goes on. */
  configure(detection: TurnDetection): void
}
/** Null when turns are not to be found. */
export type CreateWatch = (config: SessionConfig) => Watch | null

export type ListenerOptions = {
  readonly stt: SpeechToText
  readonly createWatch: CreateWatch
  readonly captions: Captions | undefined
  readonly config: () => SessionConfig
  readonly tell: (event: SessionEvent) => void
  readonly onTrouble: (error: AppError) => void
  readonly signal: AbortSignal
}

/** A watch, and where in the sound it begins. */
type Looking = { readonly watch: Watch; readonly fromMs: number }

/** Of sound that is not part of an item yet. */
const MOST_MS = 120_000
/** Of what came before speech was looked for, so much is looked through. */
const MOST_AGAIN_MS = 30_000
/** Padding before speech reaches back that far, at most. */
const BEFORE_SPEECH_MS = 6000

/** Of s16le bytes. */
const msOf = (pcm: Uint8Array, rateHz: number): number => (pcm.length / 2 / rateHz) * 1000

export class Listener {
  readonly #options: ListenerOptions
  readonly #sound: SoundIn
  readonly #hearings = new Map<string, Promise<Heard>>()
  #watch: Looking | null = null
  #watching: Promise<void> = Promise.resolve()
  #unheardMs = 0
  #captioned: { readonly itemId: string; readonly caption: Caption } | null = null

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#sound = new SoundIn(rateOf(options.config().inputFormat))
    this.listenAnew()
  }

  get hearings(): ReadonlyMap<string, Promise<Heard>> {
    return this.#hearings
  }

  /** Milliseconds of sound in which speech is still to be looked for. */
  get unheardMs(): number {
    return this.#unheardMs
  }

  /** The next sound. Throws `invalid_request`, and `audio_too_long` when nothing was made of what came before. */
  append(base64: string): void {
    const pcm = readSound(base64, this.#options.config().inputFormat)
    if (this.#sound.keptMs > MOST_MS)
      throw new AppError('audio_too_long', `expected at most ${MOST_MS / 1000} s of sound before a commit or a clear`)
    this.#sound.append(pcm)
    this.#options.tell({ type: 'received', totalMs: this.#sound.totalMs })
    this.#look(pcm)
  }

  /** Speech is looked for from here on, with the settings of now. */
  listenAnew(): void {
    this.#sound.changeRate(rateOf(this.#options.config().inputFormat))
    this.#lookFrom(this.#sound.totalMs)
  }

  /** The settings of now hold from here on, for an utterance under way too. Who has not looked for speech so far begins at `fromMs`. */
  listenOn(fromMs: number): void {
    const { inputFormat, turnDetection } = this.#options.config()
    this.#sound.changeRate(rateOf(inputFormat))
    if (this.#watch && turnDetection) this.#watch.watch.configure(turnDetection)
    else this.#lookFrom(Math.max(fromMs, this.#sound.totalMs - MOST_AGAIN_MS))
  }

  #lookFrom(fromMs: number): void {
    this.#watch = null
    const watch = this.#options.createWatch(this.#options.config())
    if (!watch) return
    const { totalMs, rateHz } = this.#sound
    const again = this.#sound.between(fromMs, totalMs)
    this.#watch = { watch, fromMs: totalMs - msOf(again, rateHz) }
    if (again.length > 0) this.#look(again)
  }

  forgetBefore(ms: number): void {
    this.#sound.forgetBefore(ms)
  }

  /** That stretch becomes an item's words, which `known` hears already if it was begun earlier. */
  hear({ itemId, fromMs, toMs }: Extract<Effect, { type: 'hear' }>, known: Promise<Heard> | undefined): void {
    const heard = known ?? this.listenTo(fromMs, toMs, this.#options.signal)
    this.#sound.forgetBefore(toMs)
    this.#keep(itemId, heard, (toMs - fromMs) / 1000)
  }

  /** The words of a sound that a client sent as an item. */
  hearGiven(itemId: string, base64: string): void {
    try {
      const { inputFormat } = this.#options.config()
      const pcm = readSound(base64, inputFormat)
      const rateHz = rateOf(inputFormat)
      this.#keep(itemId, this.#transcribe(wavOf(pcm, rateHz), this.#options.signal), pcm.length / 2 / rateHz)
    } catch (error) {
      this.#keep(itemId, Promise.reject(error), 0)
    }
  }

  async listenTo(fromMs: number, toMs: number, signal: AbortSignal): Promise<Heard> {
    return this.#transcribe(wavOf(this.#sound.between(fromMs, toMs), this.#sound.rateHz), signal)
  }

  #transcribe(wav: Uint8Array, signal: AbortSignal): Promise<Heard> {
    const { stt, config } = this.#options
    return stt.transcribe(wav, signal, config().transcription?.language ?? undefined)
  }

  #keep(itemId: string, heard: Promise<Heard>, seconds: number): void {
    this.#hearings.set(itemId, heard)
    const { tell } = this.#options
    heard
      .then(
        ({ text }) => tell({ type: 'heard', itemId, text, seconds }),
        (error: unknown) => this.#unheard(itemId, toAppError(error)),
      )
      .finally(() => this.#hearings.delete(itemId))
      .catch(() => {})
  }

  #unheard(itemId: string, error: AppError): void {
    if (this.#options.signal.aborted) return
    this.#options.onTrouble(error)
    const { type, code, message, param } = error
    this.#options.tell({ type: 'unheard', itemId, fault: { type, code, message, param } })
  }

  #look(pcm: Buffer): void {
    const looking = this.#watch
    if (!looking) return
    const { rateHz } = this.#sound
    const ms = msOf(pcm, rateHz)
    this.#unheardMs += ms
    const found = looking.watch.push(pcm, rateHz, this.#options.signal)
    found.catch(() => {})
    this.#watching = this.#watching.then(() => this.#find(looking, found)).finally(() => (this.#unheardMs -= ms))
  }

  /** Tells of speech in the order of the sound. */
  async #find(looking: Looking, found: Promise<readonly Speech[]>): Promise<void> {
    try {
      const events = await found
      if (this.#watch !== looking) return
      for (const event of events) this.#options.tell({ ...event, atMs: event.atMs + looking.fromMs })
    } catch (error) {
      if (!this.#options.signal.aborted) this.#options.onTrouble(toAppError(error))
    }
  }

  /** Shows what the utterance says while it grows; null when nobody speaks. */
  caption(utterance: Utterance | null): void {
    if (utterance?.itemId !== this.#captioned?.itemId) this.#captionAnew(utterance)
    const shown = this.#captioned
    if (shown && utterance) shown.caption.grow((this.#sound.totalMs - utterance.startMs) / 1000)
  }

  #captionAnew(utterance: Utterance | null): void {
    this.#captioned?.caption.end()
    this.#captioned = null
    const { captions, config, tell } = this.#options
    const { transcription } = config()
    if (!captions || !transcription || !utterance) return
    const { itemId, startMs } = utterance
    const caption = captions.begin({
      wav: () => wavOf(this.#sound.between(startMs, this.#sound.totalMs), this.#sound.rateHz),
      ...(transcription.language && { language: transcription.language }),
      onDelta: (delta) => tell({ type: 'caption', delta }),
    })
    this.#captioned = { itemId, caption }
  }

  /** While nobody speaks, only what padding may reach back to is kept. */
  forgetSilence(): void {
    this.#sound.forgetBefore(this.#sound.totalMs - this.#unheardMs - BEFORE_SPEECH_MS)
  }
}
