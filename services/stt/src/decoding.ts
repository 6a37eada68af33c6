/**
 * Greedy decoding of a batch: every row goes its own way, ends at its own end-of-text, and is then only carried along.
 * What is forbidden, and when nobody spoke, follows OpenAI's reference program.
 */
import type { GenerationSettings } from './generation-settings.ts'
import type { Encoded, WhisperModel } from './whisper-model.ts'

export type DecodedRow = {
  /** Text tokens only: no prompt, no end-of-text. Empty when nobody spoke. */
  readonly tokens: readonly number[]
  readonly noSpeechProbability: number
}

export type DecodeOptions = {
  /** First tokens of each row, all equally many: start, language, task, "no timestamps". */
  readonly prompts: readonly (readonly number[])[]
  /** Tokens that each row must have at least; more than 0 only to warm up. */
  readonly minTokens: number
  readonly signal: AbortSignal
}

/** Above this, and less sure of its words than `MIN_MEAN_LOG_PROBABILITY`, a row is taken for silence. */
const MAX_NO_SPEECH_PROBABILITY = 0.6
const MIN_MEAN_LOG_PROBABILITY = -1

type Row = { readonly tokens: number[]; noSpeechProbability: number; logProbability: number; isDone: boolean }

/** Rejects with the signal's reason between two steps. */
export async function decode(model: WhisperModel, encoded: Encoded, options: DecodeOptions): Promise<DecodedRow[]> {
  const { prompts, minTokens, signal } = options
  const endOfText = endToken(model.settings)
  const forbidden = forbiddenTokens(model.settings)
  const rows = prompts.map((): Row => ({ tokens: [], noSpeechProbability: 0, logProbability: 0, isDone: false }))
  let step = await model.step(encoded, prompts, null)
  const promptLength = step.logits.length / step.vocabulary / rows.length
  for (const [at, row] of rows.entries())
    row.noSpeechProbability = noSpeechProbability(logitsAt(step, at * promptLength), model.settings)

  for (let length = 0; ; length++) {
    const perRow = step.logits.length / step.vocabulary / rows.length
    for (const [at, row] of rows.entries()) {
      if (row.isDone) continue
      const logits = logitsAt(step, at * perRow + perRow - 1)
      for (const token of forbidden(length, minTokens)) logits[token] = -Infinity
      advance(row, logits, endOfText)
    }
    if (rows.every((row) => row.isDone) || length + 1 >= model.maxTokens) break
    signal.throwIfAborted()
    const next = rows.map((row) => [row.isDone ? endOfText : (row.tokens.at(-1) ?? endOfText)])
    step = await model.step(encoded, next, step.cache)
  }
  return rows.map((row) => ({
    tokens: isSilence(row) ? [] : row.tokens,
    noSpeechProbability: row.noSpeechProbability,
  }))
}

/** The probability of each of `choices` (token ids) as the next token, when it must be one of them: [rows][choices]. */
export async function choose(
  model: WhisperModel,
  encoded: Encoded,
  prompts: readonly (readonly number[])[],
  choices: readonly number[],
): Promise<number[][]> {
  const step = await model.step(encoded, prompts, null)
  const perRow = step.logits.length / step.vocabulary / prompts.length
  return prompts.map((_, at) => {
    const logits = logitsAt(step, at * perRow + perRow - 1)
    const scores = Float32Array.from(choices, (token) => logits[token] ?? -Infinity)
    const total = logSumExp(scores)
    return Array.from(scores, (score) => Math.exp(score - total))
  })
}

const endToken = ({ eos_token_id: id }: GenerationSettings): number => (typeof id === 'number' ? id : id[0])

function advance(row: Row, logits: Float32Array, endOfText: number): void {
  const token = indexOfLargest(logits)
  // Only rows that may be silence need it, and it costs an exponential for each word of the vocabulary.
  if (row.noSpeechProbability > MAX_NO_SPEECH_PROBABILITY)
    row.logProbability += (logits[token] ?? -Infinity) - logSumExp(logits)
  if (token === endOfText) row.isDone = true
  else row.tokens.push(token)
}

const isSilence = ({ tokens, logProbability, noSpeechProbability: probability }: Row): boolean =>
  probability > MAX_NO_SPEECH_PROBABILITY && logProbability / (tokens.length + 1) < MIN_MEAN_LOG_PROBABILITY

/** The tokens that may not come at place `length` of the text. */
function forbiddenTokens(settings: GenerationSettings): (length: number, minTokens: number) => readonly number[] {
  const always = settings.suppress_tokens ?? []
  const first = [...always, ...(settings.begin_suppress_tokens ?? [])]
  const unended = [...first, endToken(settings)]
  return (length, minTokens) => (length < minTokens ? unended : length === 0 ? first : always)
}

/** How likely the first token after the start is "no speech", which all Whisper vocabularies have before "no timestamps". */
function noSpeechProbability(logits: Float32Array, settings: GenerationSettings): number {
  return Math.exp((logits[settings.no_timestamps_token_id - 1] ?? -Infinity) - logSumExp(logits))
}

/** A view of the logits [vocabulary] at a place counted over all rows. */
const logitsAt = ({ logits, vocabulary }: { logits: Float32Array; vocabulary: number }, place: number): Float32Array =>
  logits.subarray(place * vocabulary, (place + 1) * vocabulary)

function indexOfLargest(values: Float32Array): number {
  let best = 0
  let largest = -Infinity
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? -Infinity
    if (value <= largest) continue
    largest = value
    best = at
  }
  return best
}

function logSumExp(values: Float32Array): number {
  const largest = values[indexOfLargest(values)] ?? -Infinity
  let sum = 0
  for (let at = 0; at < values.length; at++) sum += Math.exp((values[at] ?? -Infinity) - largest)
  return largest + Math.log(sum)
}
