/**
 * Whisper: windows of log-mel features to text. Each row goes through the encoder alone, which has enough to do with one (docs/decisions/0025);
 * rows of the same shape go through each step of the decoder as one tensor. What a row becomes never depends on its company.
 */
import { createLogMel } from '@hearth/hearing/log-mel'
import type { LogMel } from '@hearth/hearing/log-mel'
import { attemptsOf, bestOf, confidenceOf, isSpoken, noteOutcome, tryAll } from './attempts.ts'
import type { Outcome, Tried } from './attempts.ts'
import { choose, decode, textTokens } from './decoding.ts'
import type { RowPlan } from './decoding.ts'
import { knownLanguages, noSpeechToken } from './generation-settings.ts'
import { groupBy } from './group-by.ts'
import { earlierTokens, startTokens } from './prompts.ts'
import { secondsOf } from './recogniser.ts'
import type { Recogniser, RecogniserOptions } from './recogniser.ts'
import { segmentsOf } from './segments.ts'
import { joinRows } from './seq2seq.ts'
import type { Encoded, SpeechModelFiles } from './seq2seq.ts'
import type { SpeechInput, Transcript, Word } from './speech.ts'
import { timestampRules, tokenRules } from './token-rules.ts'
import { loadWhisper } from './whisper-model.ts'
import type { WhisperModel } from './whisper-model.ts'
import { fittedFrames, WINDOW_FRAMES, WINDOW_SAMPLES } from './window.ts'
import { wordTimes } from './word-times.ts'

const FRAMES_PER_SECOND = 100
/** A window that no export with a position table of 30 s takes. */
const TRIAL_FRAMES = 100

/** Throws when the files are not a Whisper's, and when a window is to be fitted that can not be. */
export async function createWhisper(options: RecogniserOptions): Promise<Recogniser> {
  const loaded = await load(options)
  const { model, isFitted } = loaded
  return { isFitted, hear: (batch, signal) => hear(loaded, batch, signal), close: () => model.close() }
}

async function load(options: RecogniserOptions): Promise<Loaded> {
  const { fitWindow } = options
  const model = await loadWhisper(options, 'as-is')
  const isFitted = fitWindow !== 'off' && (await canFitWindow(model))
  const isToBeFitted = fitWindow === 'on' && !isFitted
  const fitted = isToBeFitted ? await refit(model, options) : model
  return { model: fitted, logMel: createLogMel(model.mels), isFitted: isFitted || isToBeFitted }
}

async function hear(loaded: Loaded, batch: readonly SpeechInput[], signal: AbortSignal): Promise<Transcript[]> {
  const rows = batch.map((input) => openRow(loaded, input))
  await tryAll(rows, (group, frames) => tryOnce(loaded, group, frames, signal))
  return finish(loaded, rows)
}

type Loaded = { readonly model: WhisperModel; readonly logMel: LogMel; readonly isFitted: boolean }
type Language = { readonly code: string; readonly token: number | null; readonly probability: number | null }

type Row = Tried & {
  readonly input: SpeechInput
  /** Tokens that stand before the start. */
  readonly earlier: readonly number[]
  /** Frames of the first attempt. */
  readonly frames: number
  /** The sound as the encoder gave it last, of so many frames. */
  encoded: { readonly sound: Encoded; readonly frames: number } | undefined
  language: Language | undefined
}

/**
 * The hub's exports leave the length open in their declaration, and yet add a position table of 30 s: only a run tells. An
 * export whose encoder takes short windows was made for them.
 */
async function canFitWindow(model: WhisperModel): Promise<boolean> {
  if (model.declaredFrames !== null) return false
  return model.encode(new Float32Array(model.mels * TRIAL_FRAMES), TRIAL_FRAMES).then(
    () => true,
    () => false,
  )
}

/** The same model with an encoder that takes short windows. Throws when its export can not be changed so. */
async function refit(model: WhisperModel, files: SpeechModelFiles): Promise<WhisperModel> {
  await model.close()
  const fitted = await loadWhisper(files, 'opened')
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

/** Rows of one window through their next attempt: the encoder for each that is new to the window, then the decoder. */
async function tryOnce(loaded: Loaded, rows: readonly Row[], frames: number, signal: AbortSignal): Promise<void> {
  const { model } = loaded
  for (const row of rows) {
    if (row.encoded?.frames !== frames) row.encoded = { sound: await encode(loaded, row, frames), frames }
    signal.throwIfAborted()
  }
  await findLanguages(
    model,
    rows.filter(({ language }) => language === undefined),
  )
  for (const group of groupBy(rows, (row) => promptOf(model, row).length)) await decodeGroup(model, group, signal)
}

async function encode({ model, logMel }: Loaded, { input }: Row, frames: number): Promise<Encoded> {
  const features = new Float32Array(model.mels * frames)
  logMel(input.samples, frames, features, 0)
  return model.encode(features, frames)
}

/** The sound of rows that have the same window. */
function soundOf(rows: readonly Row[]): Encoded {
  return joinRows(
    rows.map(({ encoded }) => {
      if (!encoded) throw new Error('expected rows that were encoded: this is a bug')
      return encoded.sound
    }),
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
  const unknown = rows.filter(({ language }) => language === undefined)
  if (unknown.length === 0) return
  const starts = unknown.map(() => [model.settings.decoder_start_token_id])
  const chances = await choose(decoderOf(model), soundOf(unknown), starts, tokens)
  for (const [at, row] of unknown.entries()) {
    const scores = chances[at] ?? []
    const probability = Math.max(...scores)
    const found = known[scores.indexOf(probability)]
    if (!found) throw new Error('expected a language that the model knows: this is a bug')
    row.language = { ...found, probability }
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

const decoderOf = (model: WhisperModel) => ({ ...model, noSpeechToken: noSpeechToken(model.settings) })

/** Rows with equally long prompts: languages, tasks, prompts and temperatures are each row's own. */
async function decodeGroup(model: WhisperModel, rows: readonly Row[], signal: AbortSignal): Promise<void> {
  const plans = rows.map((row) => planOf(model, row))
  const decoded = await decode(decoderOf(model), soundOf(rows), plans, signal)
  for (const [at, row] of rows.entries()) {
    const result = decoded[at]
    if (!result) throw new Error('expected a result for each row: this is a bug')
    noteOutcome(row, result, model.textOf(textTokens(result.tokens, model.settings)))
  }
}

function planOf(model: WhisperModel, row: Row): RowPlan {
  const { exactTokens = 0 } = row.input
  const { settings, maxTokens } = model
  const rules = [tokenRules(settings, exactTokens), ...(hasTimestamps(row) ? [timestampRules(settings)] : [])]
  return { prompt: promptOf(model, row), rules, temperature: row.attempts[0]?.temperature ?? 0, exactTokens, maxTokens }
}

async function finish({ model }: Loaded, rows: readonly Row[]): Promise<Transcript[]> {
  const chosen = rows.map((row) => ({ row, outcome: bestOf(row.outcomes) }))
  const spoken = chosen.filter(({ outcome }) => isSpoken(outcome))
  const words = await timeWords(
    model,
    spoken.filter(({ row }) => row.input.timestamps === 'words'),
  )
  return chosen.map(({ row, outcome }) => transcriptOf(model, row, outcome, words.get(row) ?? []))
}

type Spoken = { readonly row: Row; readonly outcome: Outcome }

async function timeWords(model: WhisperModel, spoken: readonly Spoken[]): Promise<Map<Row, Word[]>> {
  const found = new Map<Row, Word[]>()
  for (const group of groupBy(spoken, ({ row }) => row.encoded?.frames)) {
    const rows = group.map(({ row, outcome }) => ({
      prompt: startTokens(model, { language: row.language?.token ?? null, input: row.input, hasTimestamps: false }),
      tokens: textTokens(outcome.tokens, model.settings),
      language: row.language?.code ?? 'en',
      seconds: secondsOf(row.input),
    }))
    const sound = soundOf(group.map(({ row }) => row))
    const timed = await wordTimes(model, sound, rows)
    for (const [at, { row }] of group.entries()) found.set(row, timed[at] ?? [])
  }
  return found
}

function transcriptOf(model: WhisperModel, row: Row, outcome: Outcome, words: readonly Word[]): Transcript {
  const { settings, textOf } = model
  const tokens = isSpoken(outcome) ? outcome.tokens : []
  return {
    ...confidenceOf(outcome),
    text: isSpoken(outcome) ? outcome.text : '',
    language: row.language?.code ?? 'en',
    languageProbability: row.language?.probability ?? null,
    segments: segmentsOf(tokens, { settings, seconds: secondsOf(row.input), textOf }),
    words,
    tokens: tokens.length,
    promptTokens: promptOf(model, row).length,
    windowSeconds: row.frames / FRAMES_PER_SECOND,
  }
}
