/** What goes into the engine, and what comes out of it. */

export type SpeechInput = {
  /** Mono at 16 kHz, at most 30 s. */
  readonly samples: Float32Array
  /** A code that the model knows (`en`); null to have it detected. */
  readonly language: string | null
  /** Decode at least so many tokens: warm-up sounds say nothing, and the later steps are to be warm too. */
  readonly minTokens?: number
}

export type Transcript = {
  /** Empty when nobody spoke. */
  readonly text: string
  readonly language: string
  /** Of the detected language; null when the caller gave it. */
  readonly languageProbability: number | null
  readonly noSpeechProbability: number
  readonly tokens: number
}
