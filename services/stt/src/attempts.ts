/**
 * What is tried, one after the other, until a text can be believed: a short window before the whole one, the likeliest words
 * before drawn ones. The limits are those of OpenAI's program.
 */
import { compressionRatio, textTokens } from './decoding.ts'
import type { DecodedRow } from './decoding.ts'
import type { GenerationSettings } from './generation-settings.ts'
import type { SpeechInput } from './speech.ts'

export type Attempt = { readonly frames: number; readonly temperature: number }

export type Outcome = DecodedRow & {
  readonly temperature: number
  readonly text: string
  readonly compressionRatio: number
}

const MAX_COMPRESSION_RATIO = 2.4
const MIN_MEAN_LOG_PROBABILITY = -1
const MAX_NO_SPEECH_PROBABILITY = 0.6
const TEMPERATURES = [0.2, 0.4, 0.6, 0.8, 1]

/** Frames of the short window and of the whole one (the same where windows are not fitted). */
export function attemptsOf(input: SpeechInput, frames: { fitted: number; whole: number }): Attempt[] {
  const first = input.temperature ?? 0
  const attempts = [{ frames: frames.fitted, temperature: first }]
  if (input.exactTokens) return attempts
  if (frames.fitted !== frames.whole) attempts.push({ frames: frames.whole, temperature: first })
  // Who chooses a temperature gets that one.
  const more = first === 0 ? TEMPERATURES : []
  return [...attempts, ...more.map((temperature) => ({ frames: frames.whole, temperature }))]
}

export function outcomeOf(
  row: DecodedRow,
  temperature: number,
  settings: GenerationSettings,
  textOf: (tokens: readonly number[]) => string,
): Outcome {
  const words = textTokens(row.tokens, settings)
  const text = words.length > 0 ? textOf(words).trim() : ''
  return { ...row, temperature, text, compressionRatio: compressionRatio(text) }
}

/** Nobody spoke: the model says so, and is not sure of its words. */
export const isSilence = ({ noSpeechProbability, averageLogProbability }: Outcome): boolean =>
  noSpeechProbability > MAX_NO_SPEECH_PROBABILITY && averageLogProbability < MIN_MEAN_LOG_PROBABILITY

export const isBelievable = (outcome: Outcome): boolean =>
  isSilence(outcome) ||
  (!outcome.isLooping &&
    outcome.compressionRatio <= MAX_COMPRESSION_RATIO &&
    outcome.averageLogProbability >= MIN_MEAN_LOG_PROBABILITY)

/** The last one that can be believed, else the likeliest that does not repeat itself. */
export function bestOf(outcomes: readonly Outcome[]): Outcome {
  const believed = outcomes.findLast(isBelievable)
  const steady = outcomes.filter(
    ({ isLooping, compressionRatio: ratio }) => !isLooping && ratio <= MAX_COMPRESSION_RATIO,
  )
  const [best] = (steady.length > 0 ? steady : outcomes).toSorted(
    (a, b) => b.averageLogProbability - a.averageLogProbability,
  )
  const chosen = believed ?? best
  if (!chosen) throw new Error('expected at least one outcome: this is a bug')
  return chosen
}
