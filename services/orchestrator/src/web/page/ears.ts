/** What the page hears: the microphone while it is wanted, what was said just before, and why there may be none. */
import { insecureAdvice, refusalAdvice } from './microphone-advice.ts'
import type { Advice } from './microphone-advice.ts'
import { Microphone } from './microphone.ts'
import { loudness } from './pcm.ts'

export type EarsOptions = {
  /** The audio context, which the reader's press has begun. */
  readonly openSound: () => Promise<AudioContext>
  /** 40 ms at the wire's rate, while it is recorded. */
  readonly onSound: (samples: Float32Array) => void
  /** How loud it is, 0 to 1. */
  readonly onLevel: (level: number) => void
  readonly onAdvice: (advice: Advice) => void
}

/** The sound before the button was felt: a first syllable is often there. */
const BEFORE_PRESS_CHUNKS = 5
/** Speech fills the ring around the button. */
const LEVEL_GAIN = 6

export class Ears {
  readonly #options: EarsOptions
  #microphone: Promise<Microphone | null> | null = null
  #isRecording = false
  #before: Float32Array[] = []

  constructor(options: EarsOptions) {
    this.#options = options
  }

  get isRecording(): boolean {
    return this.#isRecording
  }

  /** False, and advice for the reader, when there is no microphone to have. */
  async open(): Promise<boolean> {
    this.#microphone ??= this.#ask()
    const isThere = (await this.#microphone) !== null
    if (!isThere) this.#microphone = null
    return isThere
  }

  record(isRecording: boolean): void {
    this.#isRecording = isRecording
    if (isRecording) for (const samples of this.#before.splice(0)) this.#options.onSound(samples)
    else this.#options.onLevel(0)
  }

  /** Gives the microphone back until it is opened again. */
  async rest(): Promise<void> {
    const microphone = await this.#microphone
    this.#microphone = null
    this.#before = []
    microphone?.close()
  }

  async #ask(): Promise<Microphone | null> {
    if (!isSecureContext) {
      this.#options.onAdvice(insecureAdvice(location))
      return null
    }
    try {
      const context = await this.#options.openSound()
      return await Microphone.open(context, (samples) => this.#take(samples))
    } catch (error) {
      this.#options.onAdvice(refusalAdvice(error instanceof Error ? error.name : String(error)))
      return null
    }
  }

  #take(samples: Float32Array): void {
    if (!this.#isRecording) {
      this.#before = [...this.#before, samples].slice(-BEFORE_PRESS_CHUNKS)
      return
    }
    this.#options.onSound(samples)
    this.#options.onLevel(Math.min(1, loudness(samples) * LEVEL_GAIN))
  }
}
