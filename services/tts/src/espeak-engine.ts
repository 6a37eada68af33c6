/**
 * eSpeak NG as an engine: it sounds like a machine, and speaks in a moment on anything. It stands in when Kokoro can't be loaded, and speaks when
 * a request asks for it.
 */
import { resample } from '@hearth/shared/audio'
import type { Engine, EngineRun } from '@hearth/shared/engine'
import { loadEspeak } from './espeak.ts'
import type { SayWithEspeak } from './espeak.ts'
import { plainWords } from './phonemes.ts'
import type { Speech, SpeechInput } from './speech.ts'
import { languageOfMix } from './voice-mix.ts'

/** Kokoro's, so that a reply sounds at one rate whoever speaks it. */
const SAMPLE_RATE_HZ = 24_000
const WARM_UP_VOICE = [{ voice: 'af_heart', share: 1 }]

export const createEngine = (): Engine<SpeechInput, Speech> => new EspeakEngine()

class EspeakEngine implements Engine<SpeechInput, Speech> {
  readonly maxBatchSize = 1
  readonly warmupInputs: readonly SpeechInput[] = [
    { text: 'Good morning.', voice: WARM_UP_VOICE, speed: 1 },
    { text: 'The lights in the kitchen are off, and it will rain in London tomorrow.', voice: WARM_UP_VOICE, speed: 1 },
  ]
  #say: SayWithEspeak | undefined

  async load(): Promise<void> {
    this.#say = await loadEspeak()
  }

  async run(batch: readonly SpeechInput[], { signal }: EngineRun): Promise<Speech[]> {
    signal.throwIfAborted()
    return batch.map((input) => this.#speak(input))
  }

  async close(): Promise<void> {
    this.#say = undefined
  }

  #speak({ text, voice, speed }: SpeechInput): Speech {
    if (this.#say === undefined)
      throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    const sex = voice[0]?.voice.charAt(1) ?? ''
    const said = this.#say(plainWords(text), { language: languageOfMix(voice), sex, speed })
    const tokens = said.ipa.join(' ').split(/[_ ]/).filter(Boolean).length
    const { samples } = tokens === 0 ? { samples: new Float32Array(0) } : resample(said, SAMPLE_RATE_HZ)
    return { samples, sampleRateHz: SAMPLE_RATE_HZ, tokens, words: said.words, isEstimated: false }
  }
}
