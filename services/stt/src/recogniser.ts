/** What a family of speech models is to the engine: something that hears a batch. */
import type { SpeechModelFiles } from './seq2seq.ts'
import type { SpeechInput, Transcript } from './speech.ts'

export type RecogniserOptions = SpeechModelFiles & {
  /**
   * Of Whisper. `auto`: fitted if the encoder declares an open length and runs a short window without error; `on`: an export that always
   * hears 30 s is changed as it is loaded; `off`: always 30 s.
   */
  readonly fitWindow: 'auto' | 'on' | 'off'
}

export type Recogniser = {
  /** Whether a short clip is heard as such, not as one of 30 s. */
  readonly isFitted: boolean
  /** Output i belongs to input i. Rejects with the signal's reason between two steps. */
  hear(batch: readonly SpeechInput[], signal: AbortSignal): Promise<Transcript[]>
  close(): Promise<void>
}

export const SAMPLE_RATE_HZ = 16_000

export const secondsOf = ({ samples }: SpeechInput): number => samples.length / SAMPLE_RATE_HZ
