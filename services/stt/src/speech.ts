/** What goes into the engine, and what comes out of it. */

export type Task = 'transcribe' | 'translate'
export type TimestampKind = 'none' | 'segments' | 'words'

export type SpeechInput = {
  /** Mono at 16 kHz, at most 30 s. */
  readonly samples: Float32Array
  /** A code that the model knows (`en`); null to have it detected. */
  readonly language: string | null
  /** `translate` writes English. `transcribe` unless told. */
  readonly task?: Task
  /** What was said before, or how the text is to look; its end counts most. */
  readonly prompt?: string
  /** Words that are likely to come up. */
  readonly hotwords?: string
  /** `words` needs a model with cross-attentions. `none` unless told. */
  readonly timestamps?: TimestampKind
  /** Above 0 the words are drawn by chance. Without it, 0 is tried first and more only where that fails. */
  readonly temperature?: number
  /** Decode just so many tokens: warm-up sounds say nothing, and the later steps are to be warm too. */
  readonly exactTokens?: number
}

/** A part of what was said. Seconds count from the beginning of the clip. */
export type Segment = {
  readonly startSeconds: number
  readonly endSeconds: number
  readonly text: string
  readonly tokens: readonly number[]
}

export type Word = {
  /** As written, with the space before it. */
  readonly text: string
  readonly startSeconds: number
  readonly endSeconds: number
  readonly probability: number
}

/** How far a text can be trusted, by the measures of OpenAI's program. */
export type Confidence = {
  /** Mean natural logarithm of the tokens' probabilities. */
  readonly averageLogProbability: number
  /** Bytes of the text over its bytes compressed: above 2.4 it repeats itself. */
  readonly compressionRatio: number
  readonly noSpeechProbability: number
  /** The one that was used in the end. */
  readonly temperature: number
}

export type Transcript = Confidence & {
  /** Empty when nobody spoke. */
  readonly text: string
  readonly language: string
  /** Of the detected language; null when the caller gave it. */
  readonly languageProbability: number | null
  /** All of the text, in one segment when no timestamps were asked for; none when nobody spoke. */
  readonly segments: readonly Segment[]
  /** Only when asked for. */
  readonly words: readonly Word[]
  /** Tokens of the text, and those that the decoder was given before it. */
  readonly tokens: number
  readonly promptTokens: number
  /** The window of sound that the encoder was given: 30, or less where the model takes less. */
  readonly windowSeconds: number
}
