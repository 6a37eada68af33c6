/**
 * Moonshine: samples to English text. Rows of equal length go through the encoder, and through each step of the decoder, as one tensor; all
 * others one after the other, because nothing could keep a longer row's company out of a shorter one (docs/decisions/0017).
 */
import { attemptsOf, bestOf, confidenceOf, isSpoken, noteOutcome, tryAll } from './attempts.ts'
import type { Tried } from './attempts.ts'
import { decode } from './decoding.ts'
import type { RowPlan } from './decoding.ts'
import { loadMoonshine } from './moonshine-model.ts'
import type { MoonshineModel } from './moonshine-model.ts'
import { SAMPLE_RATE_HZ, secondsOf } from './recogniser.ts'
import type { Recogniser } from './recogniser.ts'
import type { Encoded, SpeechModelFiles } from './seq2seq.ts'
import type { SpeechInput, Transcript } from './speech.ts'
import { tokenRules } from './token-rules.ts'

/** Nobody speaks faster; what is longer repeats itself. As in transformers' documentation of the model. */
const TOKENS_PER_SECOND = 6.5
/** A tenth of a second: with less, the first layers have nothing to step over. */
const LEAST_SAMPLES = 1600

/** Throws when the files are not a Moonshine's. */
export async function createMoonshine(files: SpeechModelFiles): Promise<Recogniser> {
  const model = await loadMoonshine(files)
  return { isFitted: true, hear: (batch, signal) => hear(model, batch, signal), close: () => model.close() }
}

type Row = Tried & {
  readonly input: SpeechInput
  readonly length: number
  /** The row `at` of a batch. */
  encoded: { readonly batch: Encoded; readonly at: number } | undefined
}

async function hear(model: MoonshineModel, batch: readonly SpeechInput[], signal: AbortSignal): Promise<Transcript[]> {
  const rows = batch.map(openRow)
  await tryAll(rows, (group, length) => tryOnce(model, group, length, signal))
  return rows.map(transcriptOf)
}

function openRow(input: SpeechInput): Row {
  const length = Math.max(LEAST_SAMPLES, input.samples.length)
  const attempts = attemptsOf(input, { fitted: length, whole: length })
  return { input, length, attempts, outcomes: [], encoded: undefined }
}

async function tryOnce(
  model: MoonshineModel,
  rows: readonly Row[],
  length: number,
  signal: AbortSignal,
): Promise<void> {
  const unheard = rows.filter(({ encoded }) => encoded === undefined)
  if (unheard.length > 0) await encode(model, unheard, length)
  signal.throwIfAborted()
  for (const [batch, group] of Map.groupBy(rows, ({ encoded }) => encoded?.batch))
    if (batch) await decodeGroup(model, batch, group, signal)
}

async function encode(model: MoonshineModel, rows: readonly Row[], length: number): Promise<void> {
  const samples = new Float32Array(rows.length * length)
  for (const [at, { input }] of rows.entries()) samples.set(input.samples, at * length)
  const batch = await model.encode(samples, rows.length, length)
  for (const [at, row] of rows.entries()) row.encoded = { batch, at }
}

async function decodeGroup(
  model: MoonshineModel,
  batch: Encoded,
  rows: readonly Row[],
  signal: AbortSignal,
): Promise<void> {
  const sound = model.selectRows(
    batch,
    rows.map(({ encoded }) => encoded?.at ?? 0),
  )
  const decoded = await decode(
    model,
    sound,
    rows.map((row) => planOf(model, row)),
    signal,
  )
  for (const [at, row] of rows.entries()) {
    const result = decoded[at]
    if (!result) throw new Error('expected a result for each row: this is a bug')
    noteOutcome(row, result, model.textOf(result.tokens))
  }
}

function planOf({ settings, places }: MoonshineModel, { input, length, attempts }: Row): RowPlan {
  const { exactTokens = 0 } = input
  const prompt = [settings.decoder_start_token_id]
  return {
    prompt,
    rules: [tokenRules(settings, exactTokens)],
    temperature: attempts[0]?.temperature ?? 0,
    exactTokens,
    maxTokens: Math.min(Math.ceil((TOKENS_PER_SECOND * length) / SAMPLE_RATE_HZ), places - prompt.length),
  }
}

function transcriptOf({ input, outcomes }: Row): Transcript {
  const outcome = bestOf(outcomes)
  const { text, tokens } = isSpoken(outcome) ? outcome : { text: '', tokens: [] }
  const seconds = secondsOf(input)
  return {
    ...confidenceOf(outcome),
    text,
    language: 'en',
    languageProbability: null,
    segments: text === '' ? [] : [{ startSeconds: 0, endSeconds: seconds, text, tokens }],
    words: [],
    tokens: tokens.length,
    promptTokens: 1,
    windowSeconds: seconds,
  }
}
