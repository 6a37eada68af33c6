/**
 * Kokoro (StyleTTS 2) in transformers.js: text to phonemes to tokens to 24 kHz samples. One row at a time, as its graph
 * has no batch dimension; a row longer than one run of the graph is spoken in several and joined.
 */
import { AutoTokenizer, env, LogLevel, StyleTextToSpeech2Model, Tensor } from '@huggingface/transformers'
import type { PreTrainedModel, PreTrainedTokenizer } from '@huggingface/transformers'
import type { Engine, EngineRun } from '@hearth/shared/engine'
import { phonemeWords } from './phonemes.ts'
import { loadPhonemizer, warmPhonemizer } from './phonemizer.ts'
import type { Phonemize } from './phonemizer.ts'
import type { Speech, SpeechInput } from './speech.ts'
import { JoinedRuns, SAMPLE_RATE_HZ, timeRun, wordsOf } from './runs.ts'
import { Styles, STYLE_WIDTH } from './styles.ts'
import { tokenRuns } from './token-runs.ts'
import { languageOfMix } from './voice-mix.ts'
import { listVoices } from './voices.ts'
import { checkWaveform } from './waveform.ts'

export type EngineOptions = {
  /** The folder with Kokoro's files: config.json, tokenizer.json, onnx/, voices/. */
  readonly dir: string
  readonly threads: number
}

/** So often it is warmed until V8 has done with eSpeak's WASM. */
const PHONEMIZER_PARTS = 4

export function createEngine(options: EngineOptions): Engine<SpeechInput, Speech> {
  return new KokoroEngine(options)
}

class KokoroEngine implements Engine<SpeechInput, Speech> {
  readonly maxBatchSize = 1
  readonly warmupInputs: readonly SpeechInput[]
  readonly #options: EngineOptions
  readonly #styles: Styles
  #loaded: Loaded | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    this.#styles = new Styles(options.dir)
    const voice = listVoices(options.dir)[0]
    if (voice === undefined) throw new Error('expected a voice (such as voices/af_heart.bin) in the model folder')
    const voiced = { voice: [{ voice, share: 1 }], speed: 1 }
    this.warmupInputs = [
      { text: 'Good morning.', ...voiced },
      {
        text: 'The lights in the kitchen are off, and it will rain in London tomorrow afternoon, so take an umbrella with you when you leave.',
        ...voiced,
      },
    ]
  }

  async load(): Promise<void> {
    this.#loaded = await loadKokoro(this.#options)
  }

  get warmupParts(): readonly (() => Promise<unknown>)[] {
    const { phonemize } = this.#ready()
    return Array.from({ length: PHONEMIZER_PARTS }, () => () => warmPhonemizer(phonemize))
  }

  async run(batch: readonly SpeechInput[], run: EngineRun): Promise<Speech[]> {
    const outputs: Speech[] = []
    for (const input of batch) outputs.push(await this.#speak(input, run.signal))
    return outputs
  }

  async close(): Promise<void> {
    const loaded = this.#loaded
    this.#loaded = undefined
    await loaded?.model.dispose()
  }

  async #speak({ text, voice, speed }: SpeechInput, signal: AbortSignal): Promise<Speech> {
    const { model, tokenizer, phonemize } = this.#ready()
    const countTokens = (symbols: string): number => tokenize(tokenizer, symbols).size - 2
    const words = await phonemeWords(text, languageOfMix(voice), phonemize)
    const runs = tokenRuns(
      words.map(({ symbols }) => symbols),
      countTokens,
    )
    const joined = new JoinedRuns(speed)
    let [tokens, isEstimated] = [0, false]
    const said = words.values()
    for (const symbols of runs) {
      signal.throwIfAborted()
      const ids = tokenize(tokenizer, symbols)
      const ofRun = wordsOf(symbols, said)
      if (ids.size <= 2) continue
      tokens += ids.size - 2
      const style = new Tensor('float32', this.#styles.row(voice, ids.size - 2), [1, STYLE_WIDTH])
      const { samples, durations } = await infer(model, ids, style, speed)
      isEstimated ||= durations === null
      joined.add(symbols, samples, timeRun(ofRun, samples, durations, countTokens))
    }
    return { ...joined.end(), sampleRateHz: SAMPLE_RATE_HZ, tokens, isEstimated }
  }

  #ready(): Loaded {
    if (this.#loaded === undefined)
      throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    return this.#loaded
  }
}

type Loaded = {
  readonly model: PreTrainedModel
  readonly tokenizer: PreTrainedTokenizer
  readonly phonemize: Phonemize
}

async function loadKokoro({ dir, threads }: EngineOptions): Promise<Loaded> {
  env.allowRemoteModels = false
  env.logLevel = LogLevel.NONE // on a failed run the library would print its inputs, which spell the user's text
  const session = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  }
  const [model, tokenizer, phonemize] = await Promise.all([
    StyleTextToSpeech2Model.from_pretrained(dir, { dtype: 'fp32', local_files_only: true, session_options: session }),
    AutoTokenizer.from_pretrained(dir, { local_files_only: true }),
    loadPhonemizer(),
  ])
  return { model, tokenizer, phonemize }
}

/** Token ids [1, tokens + 2], a pad at both ends. Symbols that Kokoro does not know fall out. */
function tokenize(tokenizer: PreTrainedTokenizer, symbols: string): Tensor {
  const { input_ids: ids } = tokenizer(symbols, { truncation: false })
  if (!(ids instanceof Tensor)) throw new Error('expected a tensor of token ids from the tokenizer')
  return ids
}

type Inferred = { readonly samples: Float32Array; readonly durations: ArrayLike<number> | null }

/** Samples of one run of the graph, and the durations of its tokens if it gives them; throws when it gives no samples, or none that are numbers. */
async function infer(model: PreTrainedModel, ids: Tensor, style: Tensor, speed: number): Promise<Inferred> {
  const output: { waveform?: unknown; durations?: unknown } = await model({
    input_ids: ids,
    style,
    speed: new Tensor('float32', [speed], [1]),
  })
  if (!(output.waveform instanceof Tensor)) throw new Error('expected a waveform tensor from the model')
  const samples: unknown = output.waveform.data
  if (!(samples instanceof Float32Array)) throw new Error('expected float32 samples from the model')
  checkWaveform(samples)
  const { durations } = output
  const isForTokens = durations instanceof Tensor && durations.size === ids.size
  return { samples: samples.slice(), durations: isForTokens ? Array.from(durations.data, Number) : null }
}
