/** Speech recognition as an engine: 16 kHz samples to text, by whichever family of models the files belong to. */
import type { Engine, EngineRun } from '@hearth/shared/engine'
import { readFamily } from './model-family.ts'
import type { ModelFamily } from './model-family.ts'
import { createMoonshine } from './moonshine-recogniser.ts'
import { SAMPLE_RATE_HZ } from './recogniser.ts'
import type { Recogniser, RecogniserOptions } from './recogniser.ts'
import type { SpeechInput, Transcript } from './speech.ts'
import { createWhisper } from './whisper-recogniser.ts'

export type EngineOptions = RecogniserOptions & { readonly maxBatchSize: number }

const CREATE: Record<ModelFamily, (options: RecogniserOptions) => Promise<Recogniser>> = {
  whisper: createWhisper,
  moonshine: createMoonshine,
}

export function createEngine(options: EngineOptions): Engine<SpeechInput, Transcript> {
  return new SpeechEngine(options)
}

class SpeechEngine implements Engine<SpeechInput, Transcript> {
  readonly maxBatchSize: number
  readonly #options: EngineOptions
  #recogniser: Recogniser | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    this.maxBatchSize = options.maxBatchSize
  }

  /** Where every window is of 30 s, a longer clip would only be the same shapes again. */
  get warmupInputs(): readonly [SpeechInput, ...SpeechInput[]] {
    const warm = (seconds: number): SpeechInput => ({ samples: murmur(seconds), language: null, exactTokens: 16 })
    return this.#recogniser?.isFitted === true ? [warm(1), warm(5)] : [warm(1)]
  }

  async load(): Promise<void> {
    this.#recogniser = await CREATE[await readFamily(this.#options.dir)](this.#options)
  }

  async run(batch: readonly SpeechInput[], { signal }: EngineRun): Promise<Transcript[]> {
    if (this.#recogniser === undefined)
      throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    return this.#recogniser.hear(batch, signal)
  }

  async close(): Promise<void> {
    const recogniser = this.#recogniser
    this.#recogniser = undefined
    await recogniser?.close()
  }
}

/** A soft noise of a fixed course. */
function murmur(seconds: number): Float32Array {
  return Float32Array.from({ length: seconds * SAMPLE_RATE_HZ }, (_, n) => 0.01 * Math.sin(n * n * 0.37))
}
