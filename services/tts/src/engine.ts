/**
 * Kokoro (StyleTTS 2) in transformers.js: text to phonemes to tokens to 24 kHz samples. One row at a time, as its graph
 * has no batch dimension; a row longer than one run of the graph is spoken in several and joined.
 */
import { AutoTokenizer, env, LogLevel, StyleTextToSpeech2Model, Tensor } from '@huggingface/transformers'
import type { PreTrainedModel, PreTrainedTokenizer } from '@huggingface/transformers'
import { concat } from '@hearth/shared/audio'
import type { Engine, EngineRun } from '@hearth/shared/engine'
import { phonemeWords } from './phonemes.ts'
import { loadPhonemizer, warmPhonemizer } from './phonemizer.ts'
import type { Phonemize } from './phonemizer.ts'
import type { Speech, SpeechInput } from './speech.ts'
import { Styles, STYLE_WIDTH } from './styles.ts'
import { tokenRuns } from './token-runs.ts'
import { languageOfMix } from './voice-mix.ts'
import { listVoices } from './voices.ts'
import { checkWaveform, pauseMs, silenceAfter, trimFragment } from './waveform.ts'

export type EngineOptions = {
  /** The folder with Kokoro's files: config.json, tokenizer.json, onnx/, voices/. */
  readonly dir: string
  readonly threads: number
}

const SAMPLE_RATE_HZ = 24_000

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
    const words = await phonemeWords(text, languageOfMix(voice), phonemize)
    const runs = tokenRuns(
      words.map(({ symbols }) => symbols),
      (symbols) => tokenize(tokenizer, symbols).size - 2,
    )
    const joined = new JoinedRuns(speed)
    let tokens = 0
    for (const symbols of runs) {
      signal.throwIfAborted()
      const ids = tokenize(tokenizer, symbols)
      if (ids.size <= 2) continue
      tokens += ids.size - 2
      const style = new Tensor('float32', this.#styles.row(voice, ids.size - 2), [1, STYLE_WIDTH])
      joined.add(symbols, await infer(model, ids, style, speed))
    }
    return { samples: joined.samples(), sampleRateHz: SAMPLE_RATE_HZ, tokens }
  }

  #ready(): Loaded {
    if (this.#loaded === undefined)
      throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    return this.#loaded
  }
}

/** The runs of one speech: only what lies between two of them is changed. */
class JoinedRuns {
  readonly #speed: number
  readonly #parts: Float32Array[] = []
  #last: { readonly symbols: string; readonly samples: Float32Array } | undefined

  constructor(speed: number) {
    this.#speed = speed
  }

  add(symbols: string, samples: Float32Array): void {
    if (this.#last !== undefined) {
      const { sound } = trimFragment(this.#last.samples, SAMPLE_RATE_HZ)
      this.#parts.push(sound, silenceAfter(pauseMs(this.#last.symbols, this.#speed), SAMPLE_RATE_HZ))
    }
    this.#last = { symbols, samples }
  }

  samples(): Float32Array {
    const last = this.#last?.samples ?? new Float32Array(0)
    if (this.#parts.length === 0) return last
    const { sound, tail } = trimFragment(last, SAMPLE_RATE_HZ)
    return concat([...this.#parts, sound, tail])
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
    loadPhonemizer().then(warmPhonemizer),
  ])
  return { model, tokenizer, phonemize }
}

/** Token ids [1, tokens + 2], a pad at both ends. Symbols that Kokoro does not know fall out. */
function tokenize(tokenizer: PreTrainedTokenizer, symbols: string): Tensor {
  const { input_ids: ids } = tokenizer(symbols, { truncation: false })
  if (!(ids instanceof Tensor)) throw new Error('expected a tensor of token ids from the tokenizer')
  return ids
}

/** Samples of one run of the graph; throws when it gives none, or none that are numbers. */
async function infer(model: PreTrainedModel, ids: Tensor, style: Tensor, speed: number): Promise<Float32Array> {
  const output: { waveform?: unknown } = await model({
    input_ids: ids,
    style,
    speed: new Tensor('float32', [speed], [1]),
  })
  if (!(output.waveform instanceof Tensor)) throw new Error('expected a waveform tensor from the model')
  const samples: unknown = output.waveform.data
  if (!(samples instanceof Float32Array)) throw new Error('expected float32 samples from the model')
  checkWaveform(samples)
  return samples.slice()
}
