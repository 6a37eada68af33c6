/**
 * Voice activity of one conversation, as its sound comes in: when a turn starts, pauses, goes on and is over. The models behind it are shared
 * by all conversations, and what several say at the same time is one batch.
 */
import { AppError } from '@hearth/shared/errors'
import { RecentSound } from './recent-sound.ts'
import { FRAME_SAMPLES } from './silero-engine.ts'
import { SpeechTurns } from './speech-turns.ts'
import type { SpeechEvent, TurnDetection } from './speech-turns.ts'
import type { FollowVoice } from './voice-model.ts'

export type { Eagerness, SpeechEvent, TurnDetection } from './speech-turns.ts'

/**
 * How likely the turn that `samples` end with is over (its last 8 s at most, mono at 16 kHz); null when there is no model to tell. It answers
 * within a limit of its own, and rejects with the signal's reason only.
 */
export type JudgeTurnEnd = (samples: Float32Array<ArrayBuffer>, signal: AbortSignal) => Promise<number | null>

/** The models, one of each for all conversations. */
export type Ears = { readonly followVoice: FollowVoice; readonly judgeTurnEnd: JudgeTurnEnd }

export type SpeechWatchOptions = Ears & { readonly detection: TurnDetection }

/** What one conversation may have in one batch: its neighbours wait for all of it. A second. */
const MOST_SAMPLES = 32 * FRAME_SAMPLES
/** A minute. */
const MOST_WAITING_SAMPLES = 60 * 16_000
/** What a turn-end model hears. */
const TURN_SAMPLES = 8 * 16_000

export class SpeechWatch {
  readonly #ears: Ears
  readonly #turns: SpeechTurns
  #recent: RecentSound | undefined
  /** What did not fill a frame yet. */
  #rest = new Float32Array(0)
  /** What the detector remembers of this conversation. */
  #memory: Float32Array<ArrayBuffer> | undefined
  #received = 0
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()
  #question: Promise<number | null> | undefined

  constructor({ detection, ...ears }: SpeechWatchOptions) {
    this.#ears = ears
    this.#turns = new SpeechTurns(detection)
    this.configure(detection)
  }

  /** Samples pushed so far: where in the stream the next one will be. */
  get position(): number {
    return this.#received
  }

  /** Other settings from the next frame on; a turn that is under way goes on. */
  configure(detection: TurnDetection): void {
    this.#turns.configure(detection)
    this.#recent = detection.type === 'semantic_vad' ? (this.#recent ?? new RecentSound(TURN_SAMPLES)) : undefined
  }

  /** As if nobody had spoken so far: a turn under way is forgotten, and no event tells of earlier sound. Positions count on. */
  reset(): void {
    this.#turns.forget(this.#received)
  }

  /**
   * Hears the next samples (16 kHz, mono, any number) and resolves with what they show. Calls are heard in order, also when one does not wait
   * for the one before. Rejects with `overloaded` when more than a minute waits to be heard; as the detector's model does (this sound is then
   * passed over, and the next is heard); and with the signal's reason.
   */
  push(samples: Float32Array, signal: AbortSignal): Promise<SpeechEvent[]> {
    if (this.#waiting > 0 && this.#waiting + samples.length > MOST_WAITING_SAMPLES)
      return Promise.reject(new AppError('overloaded', 'more than a minute of sound waits to be heard'))
    this.#received += samples.length
    this.#waiting += samples.length
    const heard = this.#last.then(() => this.#hear(samples, signal)).finally(() => (this.#waiting -= samples.length))
    this.#last = heard.catch(() => undefined)
    return heard
  }

  async #hear(samples: Float32Array, signal: AbortSignal): Promise<SpeechEvent[]> {
    const sound = new Float32Array(this.#rest.length + samples.length)
    sound.set(this.#rest)
    sound.set(samples, this.#rest.length)
    const whole = sound.length - (sound.length % FRAME_SAMPLES)
    this.#rest = sound.slice(whole)
    const end = this.#turns.position + whole
    try {
      const events: SpeechEvent[] = []
      for (let from = 0; from < whole; from += MOST_SAMPLES)
        events.push(...(await this.#hearFrames(sound.subarray(from, Math.min(whole, from + MOST_SAMPLES)), signal)))
      return events
    } catch (error) {
      this.#turns.skipTo(end)
      throw error
    }
  }

  async #hearFrames(sound: Float32Array, signal: AbortSignal): Promise<SpeechEvent[]> {
    const probabilities = await this.#follow(sound, signal)
    const events: SpeechEvent[] = []
    for (const [at, probability] of probabilities.entries()) {
      this.#recent?.append(sound.subarray(at * FRAME_SAMPLES, (at + 1) * FRAME_SAMPLES))
      const event = await this.#hearFrame(probability, signal)
      if (event) events.push(event)
    }
    return events
  }

  async #follow(sound: Float32Array, signal: AbortSignal): Promise<Float32Array> {
    // A copy, because the buffers that the detector gets are gone.
    const input = { samples: sound.slice(), ...(this.#memory && { memory: this.#memory }) }
    this.#memory = undefined
    const { probabilities, memory } = await this.#ears.followVoice(input, signal)
    this.#memory = memory
    return probabilities
  }

  /** A pause begins a question, and the frame after it waits for the answer: so the pause itself is told at once. */
  async #hearFrame(probability: number, signal: AbortSignal): Promise<SpeechEvent | null> {
    const question = this.#question
    this.#question = undefined
    if (question) this.#turns.decide(await question)
    const event = this.#turns.hear(probability)
    if (this.#turns.isUndecided && event?.type === 'paused') this.#ask(signal)
    return event
  }

  #ask(signal: AbortSignal): void {
    const turnSamples = this.#turns.position - (this.#turns.startSample ?? 0)
    this.#question = this.#ears.judgeTurnEnd(this.#recent?.last(turnSamples) ?? new Float32Array(0), signal)
    // Whoever awaits it hears of it; perhaps nobody does any more.
    this.#question.catch(() => undefined)
  }
}
