/**
 * Whisper in transformers.js: 16 kHz samples to text. Rows of a batch are one tensor through the encoder and through every step
 * of the decoder, and where the encoder allows it the window is only as long as the longest clip, not 30 s.
 */
import type { Engine, EngineRun } from '@hearth/shared/engine'
import { choose, decode } from './decoding.ts'
import { knownLanguages } from './generation-settings.ts'
import { createLogMel, HOP_SAMPLES } from './log-mel.ts'
import type { LogMel } from './log-mel.ts'
import type { SpeechInput, Transcript } from './speech.ts'
import { loadWhisper } from './whisper-model.ts'
import type { Encoded, WhisperFiles, WhisperModel } from './whisper-model.ts'

export type EngineOptions = WhisperFiles & {
  readonly maxBatchSize: number
  /** `auto`: fitted if the encoder declares an open length and runs a short window without error; `off`: always 30 s. */
  readonly fitWindow: 'auto' | 'on' | 'off'
}

export const SAMPLE_RATE_HZ = 16_000
const WINDOW_FRAMES = 3000
const WINDOW_SAMPLES = WINDOW_FRAMES * HOP_SAMPLES
/** A fitted window keeps 0.3 s of silence behind the longest clip, so that the last word is heard to its end. */
const TAIL_SAMPLES = 4800
/** Whisper's encoder halves the frames, so their number is even; below a second nothing is gained. */
const FRAME_STEP = 2
const MIN_FRAMES = 100

export function createEngine(options: EngineOptions): Engine<SpeechInput, Transcript> {
  return new WhisperEngine(options)
}

class WhisperEngine implements Engine<SpeechInput, Transcript> {
  readonly maxBatchSize: number
  readonly warmupInputs: readonly [SpeechInput, ...SpeechInput[]] = [
    { samples: murmur(1), language: null, minTokens: 16 },
    { samples: murmur(5), language: null, minTokens: 16 },
  ]
  readonly #options: EngineOptions
  #loaded: Loaded | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    this.maxBatchSize = options.maxBatchSize
  }

  async load(): Promise<void> {
    const model = await loadWhisper(this.#options)
    const { fitWindow } = this.#options
    const isFitted = fitWindow === 'on' || (fitWindow === 'auto' && (await canFitWindow(model)))
    this.#loaded = { model, logMel: createLogMel(model.mels), isFitted }
  }

  async run(batch: readonly SpeechInput[], { signal }: EngineRun): Promise<Transcript[]> {
    const loaded = this.#ready()
    const { model } = loaded
    const encoded = await encode(loaded, batch)
    signal.throwIfAborted()
    const languages = await findLanguages(model, encoded, batch)
    const prompts = languages.map(({ token }) => promptTokens(model, token))
    const minTokens = Math.max(...batch.map((input) => input.minTokens ?? 0))
    const rows = await decode(model, encoded, { prompts, minTokens, signal })
    return rows.map(({ tokens, noSpeechProbability }, at) => ({
      text: tokens.length > 0 ? model.tokenizer.decode([...tokens], { skip_special_tokens: true }).trim() : '',
      language: languages[at]?.code ?? 'en',
      languageProbability: languages[at]?.probability ?? null,
      noSpeechProbability,
      tokens: tokens.length,
    }))
  }

  async close(): Promise<void> {
    const loaded = this.#loaded
    this.#loaded = undefined
    await loaded?.model.close()
  }

  #ready(): Loaded {
    if (this.#loaded === undefined)
      throw new Error('expected a loaded engine, got one before load or after close: this is a bug')
    return this.#loaded
  }
}

type Loaded = { readonly model: WhisperModel; readonly logMel: LogMel; readonly isFitted: boolean }

/**
 * The hub's exports leave the length open in their declaration, and yet add a position table of 30 s: only a run tells. An
 * export whose encoder takes short windows was made for them.
 */
async function canFitWindow(model: WhisperModel): Promise<boolean> {
  if (model.declaredFrames !== null) return false
  return model.encode(new Float32Array(model.mels * MIN_FRAMES), 1, MIN_FRAMES).then(
    () => true,
    () => false,
  )
}

async function encode({ model, logMel, isFitted }: Loaded, batch: readonly SpeechInput[]): Promise<Encoded> {
  const longest = Math.max(...batch.map(({ samples }) => samples.length))
  if (longest > WINDOW_SAMPLES)
    throw new Error(`expected at most ${WINDOW_SAMPLES} samples, got ${longest}: this is a bug`)
  const frames = isFitted ? fittedFrames(longest) : (model.declaredFrames ?? WINDOW_FRAMES)
  const features = new Float32Array(batch.length * model.mels * frames)
  for (const [row, { samples }] of batch.entries()) logMel(samples, frames, features, row * model.mels * frames)
  return model.encode(features, batch.length, frames)
}

function fittedFrames(samples: number): number {
  const frames = FRAME_STEP * Math.ceil((samples + TAIL_SAMPLES) / (FRAME_STEP * HOP_SAMPLES))
  return Math.min(WINDOW_FRAMES, Math.max(MIN_FRAMES, frames))
}

type Language = { readonly code: string; readonly token: number | null; readonly probability: number | null }

/** Each row's language as given, or as one decoder step over the languages finds it. Models for English only have no tokens. */
async function findLanguages(
  model: WhisperModel,
  encoded: Encoded,
  batch: readonly SpeechInput[],
): Promise<readonly Language[]> {
  const known = knownLanguages(model.settings)
  const tokens = known.flatMap(({ token }) => token ?? [])
  const starts = batch.map(() => [model.settings.decoder_start_token_id])
  const wantsDetection = tokens.length > 0 && batch.some(({ language }) => language === null)
  const probabilities = wantsDetection ? await choose(model, encoded, starts, tokens) : []
  return batch.map(({ language }, row) => {
    const scores = probabilities[row] ?? [1]
    const probability = Math.max(...scores)
    const found = language === null ? known[scores.indexOf(probability)] : known.find(({ code }) => code === language)
    if (!found) throw new Error('expected a language that the model knows: this is a bug')
    return { ...found, probability: language === null ? probability : null }
  })
}

function promptTokens({ settings }: WhisperModel, language: number | null): number[] {
  const { decoder_start_token_id: start, no_timestamps_token_id: noTimestamps, task_to_id: tasks } = settings
  const task = tasks['transcribe']
  if (language === null) return [start, noTimestamps]
  if (task === undefined) throw new Error('expected the task "transcribe" in generation_config.json')
  return [start, language, task, noTimestamps]
}

/** A soft noise of a fixed course. */
function murmur(seconds: number): Float32Array {
  return Float32Array.from({ length: seconds * SAMPLE_RATE_HZ }, (_, n) => 0.01 * Math.sin(n * n * 0.37))
}
