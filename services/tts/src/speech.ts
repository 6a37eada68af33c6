/** What goes into the engine, and what comes out of it. */
import type { VoiceMix } from './voice-mix.ts'

/** `speed` 1 is the voice's own tempo, 2 twice as fast. */
export type SpeechInput = { readonly text: string; readonly voice: VoiceMix; readonly speed: number }

/** A word as it was spoken, and when, from the start of the samples. */
export type TimedWord = { readonly word: string; readonly startMs: number; readonly endMs: number }

/** `samples` is empty, and `tokens` 0, only when eSpeak has no sound for the text. */
export type Speech = {
  readonly samples: Float32Array
  readonly sampleRateHz: number
  readonly tokens: number
  readonly words: readonly TimedWord[]
  /** Whether the times of the words are a guess: the model told no durations. */
  readonly isEstimated: boolean
}
