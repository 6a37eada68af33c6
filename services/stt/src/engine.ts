/**
 * Whisper in transformers.js: 16 kHz samples to text. Rows of a batch that have the same shape go through the encoder, and
 * through each step of the decoder, as one tensor; what a row becomes never depends on its company.
 */
import { createLogMel } from '@hearth/hearing/log-mel'
import type { LogMel } from '@hearth/hearing/log-mel'
import type { Engine, EngineRun } from '@hearth/shared/engine'
import { attemptsOf, bestOf, isBelievable, isSilence, outcomeOf } from './attempts.ts'
import type { Attempt, Outcome } from './attempts.ts'
import { choose, decode, textTokens } from './decoding.ts'
import type { RowPlan } from './decoding.ts'
import { knownLanguages } from './generation-settings.ts'
import { earlierTokens, startTokens } from './prompts.ts'
import { segmentsOf } from './segments.ts'
import { isSilencePhrase } from './silence-phrases.ts'
import { withOpenWindow } from './open-window.ts'
import type { SpeechInput, Transcript, Word } from './speech.ts'
import { loadWhisper } from './whisper-model.ts'
import type { Encoded, WhisperFiles, WhisperModel } from './whisper-model.ts'
import { fittedFrames, WINDOW_FRAMES, WINDOW_SAMPLES } from './window.ts'
import { wordTimes } from './word-times.ts'

export type EngineOptions = WhisperFiles & {
  readonly maxBatchSize: number
  /**
   * `auto`: fitted if the encoder declares an open length and runs a short window without error; `on`: an export that always hears 30 s is
   * changed as it is loaded; `off`: always 30 s.
   */
  readonly fitWindow: 'auto' | 'on' | 'off'
}

export const SAMPLE_RATE_HZ = 16_000
const FRAMES_PER_SECOND = 100
/** A window that no export with a position table of 30 s takes. */
const TRIAL_FRAMES = 100

export function createEngine(options: EngineOptions): Engine<SpeechInput, Transcript> {
  return new WhisperEngine(options)
}

class WhisperEngine implements Engine<SpeechInput, Transcript> {
  readonly maxBatchSize: number
  readonly warmupInputs: readonly [SpeechInput, ...SpeechInput[]] = [
    { samples: murmur(1), language: null, exactTokens: 16 },
    { samples: murmur(5), language: null, exactTokens: 16 },
  ]
  readonly #options: EngineOptions
  #loaded: Loaded | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    this.maxBatchSize = options.maxBatchSize
  }

  async load(): Promise<void> {
    const { fitWindow } = this.#options
    const model = await loadWhisper(this.#options)
    const isFitted = fitWindow !== 'off' && (await canFitWindow(model))
    const isToBeFitted = fitWindow === 'on' && !isFitted
    const fitted = isToBeFitted ? await refit(model, this.#options) : model
    this.#loaded = { model: fitted, logMel: createLogMel(model.mels), isFitted: isFitted || isToBeFitted }
  }

  async run(batch: readonly SpeechInput[], { signal }: EngineRun): Promise<Transcript[]> {
    const loaded = this.#ready()
    const rows = batch.map((input) => openRow(loaded, input))
    for (;;) {
      const pending = rows.filter(({ attempts }) => attempts.length > 0)
      if (pending.length === 0) break
      for (const group of groupBy(pending, ({ attempts }) => attempts[0]?.frames)) await tryOnce(loaded, group, signal)
    }
    return finish(loaded, rows)
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
type Language = { readonly code: string; readonly token: number | null; readonly probability: number | null }

/** One input on its way: what is still to be tried, and what came of it so far. */
type Row = {
  readonly input: SpeechInput
  /** Tokens that stand before the start. */
  readonly earlier: readonly number[]
  attempts: readonly Attempt[]
  /** Frames of the first attempt. */
  readonly frames: number
  readonly outcomes: Outcome[]
  /** The sound as the encoder gave it last: the row `at` of a batch. */
  encoded: { readonly batch: Encoded; readonly at: number; readonly frames: number } | undefined
  language: Language | undefined
}

/**
 * The hub's exports leave the length open in their declaration, and yet add a position table of 30 s: only a run tells. An
 * export whose encoder takes short windows was made for them.
 */
async function canFitWindow(model: WhisperModel): Promise<boolean> {
  if (model.declaredFrames !== null) return false
  return model.encode(new Float32Array(model.mels * TRIAL_FRAMES), 1, TRIAL_FRAMES).then(
    () => true,
    () => false,
  )
}

/** The same model with an encoder that takes short windows. Throws when its export can not be changed so. */
async function refit(model: WhisperModel, files: WhisperFiles): Promise<WhisperModel> {
  await model.close()
  const fitted = await withOpenWindow(files, loadWhisper)
  if (await canFitWindow(fitted)) return fitted
  await fitted.close()
  throw new Error('expected an encoder that bears a short window: set STT_FIT_WINDOW=off')
}

function openRow({ model, isFitted }: Loaded, input: SpeechInput): Row {
  const { length } = input.samples
  if (length > WINDOW_SAMPLES)
    throw new Error(`expected at most ${WINDOW_SAMPLES} samples, got ${length}: this is a bug`)
  const whole = model.declaredFrames ?? WINDOW_FRAMES
  const frames = isFitted ? fittedFrames(length) : whole
  const attempts = attemptsOf(input, { fitted: frames, whole })
  const earlier = earlierTokens(model, input)
  return { input, earlier, attempts, frames, outcomes: [], encoded: undefined, language: undefined }
}

/** Rows of one window through their next attempt: the encoder once for those that are new to the window, then the decoder. */
async function tryOnce(loaded: Loaded, rows: readonly Row[], signal: AbortSignal): Promise<void> {
  const { model } = loaded
  const frames = rows[0]?.attempts[0]?.frames ?? WINDOW_FRAMES
  const unheard = rows.filter(({ encoded }) => encoded?.frames !== frames)
  if (unheard.length > 0) await encode(loaded, unheard, frames)
  signal.throwIfAborted()
  await findLanguages(
    model,
    rows.filter(({ language }) => language === undefined),
  )
  for (const same of groupBy(rows, ({ encoded }) => encoded?.batch))
    for (const group of groupBy(same, (row) => promptOf(model, row).length)) await decodeGroup(model, group, signal)
}

async function encode({ model, logMel }: Loaded, rows: readonly Row[], frames: number): Promise<void> {
  const size = model.mels * frames
  const features = new Float32Array(rows.length * size)
  for (const [at, { input }] of rows.entries()) logMel(input.samples, frames, features, at * size)
  const batch = await model.encode(features, rows.length, frames)
  for (const [at, row] of rows.entries()) row.encoded = { batch, at, frames }
}

/** The sound of rows that share a batch. */
function soundOf(model: WhisperModel, rows: readonly Row[]): Encoded {
  const [first] = rows
  if (!first?.encoded) throw new Error('expected rows that were encoded: this is a bug')
  return model.selectRows(
    first.encoded.batch,
    rows.map(({ encoded }) => encoded?.at ?? 0),
  )
}

/** Each row's language as given, or as one decoder step over the languages finds it. Models for English only have no tokens. */
async function findLanguages(model: WhisperModel, rows: readonly Row[]): Promise<void> {
  const known = knownLanguages(model.settings)
  const [only] = known
  const named = (code: string | null) => known.find((language) => language.code === code)
  for (const row of rows) {
    const given = known.length === 1 ? only : named(row.input.language)
    if (given) row.language = { ...given, probability: null }
  }
  const tokens = known.flatMap(({ token }) => token ?? [])
  for (const group of groupBy(
    rows.filter(({ language }) => language === undefined),
    ({ encoded }) => encoded?.batch,
  )) {
    const starts = group.map(() => [model.settings.decoder_start_token_id])
    const chances = await choose(model, soundOf(model, group), starts, tokens)
    for (const [at, row] of group.entries()) {
      const scores = chances[at] ?? []
      const probability = Math.max(...scores)
      const found = known[scores.indexOf(probability)]
      if (!found) throw new Error('expected a language that the model knows: this is a bug')
      row.language = { ...found, probability }
    }
  }
}

const hasTimestamps = ({ input }: Row): boolean => (input.timestamps ?? 'none') !== 'none'

function promptOf(model: WhisperModel, row: Row): number[] {
  const start = startTokens(model, {
    language: row.language?.token ?? null,
    input: row.input,
    hasTimestamps: hasTimestamps(row),
  })
  return [...row.earlier, ...start]
}

/** Rows with equally long prompts: languages, tasks, prompts and temperatures are each row's own. */
async function decodeGroup(model: WhisperModel, rows: readonly Row[], signal: AbortSignal): Promise<void> {
  const plans = rows.map((row): RowPlan => ({
    prompt: promptOf(model, row),
    hasTimestamps: hasTimestamps(row),
    temperature: row.attempts[0]?.temperature ?? 0,
    exactTokens: row.input.exactTokens ?? 0,
  }))
  const decoded = await decode(model, soundOf(model, rows), plans, signal)
  for (const [at, row] of rows.entries()) {
    const plan = plans[at]
    const result = decoded[at]
    if (!plan || !result) throw new Error('expected a result for each row: this is a bug')
    const outcome = outcomeOf(result, plan.temperature, model.settings, textOf(model))
    row.outcomes.push(outcome)
    row.attempts = isBelievable(outcome) ? [] : row.attempts.slice(1)
  }
}

async function finish({ model }: Loaded, rows: readonly Row[]): Promise<Transcript[]> {
  const chosen = rows.map((row) => ({ row, outcome: bestOf(row.outcomes) }))
  const spoken = chosen.filter(({ outcome }) => !isSilence(outcome) && !isSilencePhrase(outcome) && outcome.text !== '')
  const words = await timeWords(
    model,
    spoken.filter(({ row }) => row.input.timestamps === 'words'),
  )
  const heard = new Set(spoken.map(({ row }) => row))
  return chosen.map(({ row, outcome }) => transcriptOf(model, row, outcome, heard.has(row), words.get(row) ?? []))
}

type Spoken = { readonly row: Row; readonly outcome: Outcome }

async function timeWords(model: WhisperModel, spoken: readonly Spoken[]): Promise<Map<Row, Word[]>> {
  const found = new Map<Row, Word[]>()
  for (const group of groupBy(spoken, ({ row }) => row.encoded?.batch)) {
    const rows = group.map(({ row, outcome }) => ({
      prompt: startTokens(model, { language: row.language?.token ?? null, input: row.input, hasTimestamps: false }),
      tokens: textTokens(outcome.tokens, model.settings),
      language: row.language?.code ?? 'en',
      seconds: secondsOf(row.input),
    }))
    const sound = soundOf(
      model,
      group.map(({ row }) => row),
    )
    const timed = await wordTimes(model, sound, rows)
    for (const [at, { row }] of group.entries()) found.set(row, timed[at] ?? [])
  }
  return found
}

function transcriptOf(
  model: WhisperModel,
  row: Row,
  outcome: Outcome,
  isSpoken: boolean,
  words: readonly Word[],
): Transcript {
  const { averageLogProbability, compressionRatio, noSpeechProbability, temperature } = outcome
  const tokens = isSpoken ? outcome.tokens : []
  return {
    text: isSpoken ? outcome.text : '',
    language: row.language?.code ?? 'en',
    languageProbability: row.language?.probability ?? null,
    averageLogProbability,
    compressionRatio,
    noSpeechProbability,
    temperature,
    segments: segmentsOf(tokens, { settings: model.settings, seconds: secondsOf(row.input), textOf: textOf(model) }),
    words,
    tokens: tokens.length,
    promptTokens: promptOf(model, row).length,
    windowSeconds: row.frames / FRAMES_PER_SECOND,
  }
}

const secondsOf = ({ samples }: SpeechInput): number => samples.length / SAMPLE_RATE_HZ

const textOf =
  ({ tokenizer }: WhisperModel) =>
  (tokens: readonly number[]): string =>
    tokenizer.decode([...tokens], { skip_special_tokens: true })

/** Groups in the order in which they first come up. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => unknown): T[][] {
  return [...Map.groupBy(items, keyOf).values()]
}

/** A soft noise of a fixed course. */
function murmur(seconds: number): Float32Array {
  return Float32Array.from({ length: seconds * SAMPLE_RATE_HZ }, (_, n) => 0.01 * Math.sin(n * n * 0.37))
}
