/**
 * Decoding of a group of rows, step by step: every row goes its own way and ends at its own end-of-text; when half of the
 * rows have ended, the others go on without them.
 */
import { deflateSync } from 'node:zlib'
import { endToken, firstTimestamp } from './generation-settings.ts'
import type { GenerationSettings, TokenSettings } from './generation-settings.ts'
import { draw, indexOfLargest, logSumExp, seededRandom } from './logits.ts'
import type { DecoderStep, Encoded, Seq2Seq } from './seq2seq.ts'
import { loopLength } from './token-rules.ts'
import type { TokenRules } from './token-rules.ts'

export type Decoder = Pick<Seq2Seq, 'step' | 'selectRows' | 'selectStep' | 'discard'> & {
  readonly settings: TokenSettings
  /** Null where the model has no such token. */
  readonly noSpeechToken: number | null
}

export type RowPlan = {
  /** What the decoder is given before the text: earlier words, start, language, task. As long as the others' of its group. */
  readonly prompt: readonly number[]
  /** In the order in which they are applied. */
  readonly rules: readonly TokenRules[]
  /** 0 takes the likeliest token; above that they are drawn. */
  readonly temperature: number
  /** Tokens that the row is to have, no more and no fewer; 0 leaves it to the model. */
  readonly exactTokens: number
  /** It is cut there. */
  readonly maxTokens: number
}

export type DecodedRow = {
  /** Words and timestamps: no prompt, no end-of-text. */
  readonly tokens: readonly number[]
  readonly noSpeechProbability: number
  readonly averageLogProbability: number
  /** True when it was stopped because it said the same over and over; the repetitions are left out. */
  readonly isLooping: boolean
}

type Row = {
  readonly plan: RowPlan
  readonly random: () => number
  readonly tokens: number[]
  noSpeechProbability: number
  logProbability: number
  state: 'open' | 'ended' | 'looping'
}

/** Rejects with the signal's reason between two steps. `encoded` has a row for each plan. */
export async function decode(
  model: Decoder,
  encoded: Encoded,
  plans: readonly RowPlan[],
  signal: AbortSignal,
): Promise<DecodedRow[]> {
  const rows = plans.map(openRow)
  let open: readonly Row[] = rows
  const prompts = plans.map(({ prompt }) => prompt)
  let source = encoded
  let step = await model.step(source, prompts, null)
  noteSilence(step, rows, model)
  for (;;) {
    for (const [at, row] of open.entries())
      if (row.state === 'open') advance(row, lastLogits(step, at, open.length), model)
    const going = open.flatMap(({ state }, at) => (state === 'open' ? [at] : []))
    if (going.length === 0) break
    signal.throwIfAborted()
    if (going.length <= open.length / 2) {
      open = going.map((at) => open[at]).filter((row) => row !== undefined)
      source = model.selectRows(source, going)
      step = model.selectStep(step, going)
    }
    const end = endToken(model.settings)
    const next = open.map((row) => [row.state === 'open' ? (row.tokens.at(-1) ?? end) : end])
    step = await model.step(source, next, step)
  }
  model.discard(step)
  return rows.map(closeRow)
}

function openRow(plan: RowPlan): Row {
  const random = seededRandom(Math.round(plan.temperature * 1000))
  return { plan, random, tokens: [], noSpeechProbability: 0, logProbability: 0, state: 'open' }
}

function advance(row: Row, logits: Float32Array, { settings }: Decoder): void {
  const { rules, temperature, exactTokens, maxTokens } = row.plan
  for (const rule of rules) rule(logits, row.tokens)
  const token = temperature > 0 ? draw(logits, temperature, row.random) : indexOfLargest(logits)
  row.logProbability += (logits[token] ?? -Infinity) - logSumExp(logits)
  if (token === endToken(settings)) row.state = 'ended'
  else row.tokens.push(token)
  if (row.tokens.length >= (exactTokens || maxTokens)) row.state = 'ended'
  if (exactTokens === 0 && loopLength(row.tokens) > 0) row.state = 'looping'
}

function closeRow({ tokens, noSpeechProbability, logProbability, state }: Row): DecodedRow {
  const isLooping = state === 'looping'
  return {
    tokens: isLooping ? tokens.slice(0, tokens.length - loopLength(tokens)) : tokens,
    noSpeechProbability,
    averageLogProbability: logProbability / (tokens.length + 1),
    isLooping,
  }
}

/** The chance of "no speech" as the first token after the start, whatever was said before it. */
function noteSilence(step: DecoderStep, rows: readonly Row[], { settings, noSpeechToken }: Decoder): void {
  if (noSpeechToken === null) return
  const perRow = step.logits.length / step.vocabulary / rows.length
  for (const [at, row] of rows.entries()) {
    const start = row.plan.prompt.lastIndexOf(settings.decoder_start_token_id)
    const logits = logitsAt(step, at * perRow + start)
    row.noSpeechProbability = Math.exp((logits[noSpeechToken] ?? -Infinity) - logSumExp(logits))
  }
}

/** The probability of each of `choices` (token ids) as the next token, when it must be one of them: [rows][choices]. */
export async function choose(
  model: Decoder,
  encoded: Encoded,
  prompts: readonly (readonly number[])[],
  choices: readonly number[],
): Promise<number[][]> {
  const step = await model.step(encoded, prompts, null)
  const chances = prompts.map((_, at) => {
    const logits = lastLogits(step, at, prompts.length)
    const scores = Float32Array.from(choices, (token) => logits[token] ?? -Infinity)
    const total = logSumExp(scores)
    return Array.from(scores, (score) => Math.exp(score - total))
  })
  model.discard(step)
  return chances
}

/** How often the compressed text fits into the text; below 1 for short ones. */
export function compressionRatio(text: string): number {
  const bytes = Buffer.from(text)
  return bytes.length === 0 ? 0 : bytes.length / deflateSync(bytes).length
}

/** Words only. */
export const textTokens = (tokens: readonly number[], settings: GenerationSettings): number[] =>
  tokens.filter((token) => token < endToken(settings) && token < firstTimestamp(settings))

function lastLogits(step: DecoderStep, row: number, rows: number): Float32Array {
  const perRow = step.logits.length / step.vocabulary / rows
  return logitsAt(step, row * perRow + perRow - 1)
}

/** A view of the logits [vocabulary] at a place counted over all rows. */
const logitsAt = ({ logits, vocabulary }: { logits: Float32Array; vocabulary: number }, place: number): Float32Array =>
  logits.subarray(place * vocabulary, (place + 1) * vocabulary)
