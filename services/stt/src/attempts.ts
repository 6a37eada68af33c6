/**
 * What is tried, one after the other, until a text can be believed: a short window before the whole one, the likeliest words
 * before drawn ones. The limits are those of OpenAI's program.
 */
import { compressionRatio } from './decoding.ts'
import type { DecodedRow } from './decoding.ts'
import { groupBy } from './group-by.ts'
import { isSilencePhrase } from './silence-phrases.ts'
import type { Confidence, SpeechInput } from './speech.ts'

/** `frames`: how long the window of sound is, in what its model counts. */
export type Attempt = { readonly frames: number; readonly temperature: number }

/** A row on its way: what is still to be tried, and what came of it so far. */
export type Tried = { attempts: readonly Attempt[]; readonly outcomes: Outcome[] }

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

/** Takes rows through their attempts, those of one window together, until each has a text to believe or nothing left to try. */
export async function tryAll<Row extends Tried>(
  rows: readonly Row[],
  tryOnce: (group: readonly Row[], frames: number) => Promise<void>,
): Promise<void> {
  for (;;) {
    const pending = rows.filter(({ attempts }) => attempts.length > 0)
    if (pending.length === 0) return
    for (const group of groupBy(pending, ({ attempts }) => attempts[0]?.frames))
      await tryOnce(group, group[0]?.attempts[0]?.frames ?? 0)
  }
}

/** Notes what came of a row's first attempt. `text` of its tokens. */
export function noteOutcome(row: Tried, decoded: DecodedRow, text: string): void {
  const trimmed = text.trim()
  const temperature = row.attempts[0]?.temperature ?? 0
  const outcome = { ...decoded, temperature, text: trimmed, compressionRatio: compressionRatio(trimmed) }
  row.outcomes.push(outcome)
  row.attempts = isBelievable(outcome) ? [] : row.attempts.slice(1)
}

/** Nobody spoke: the model says so, and is not sure of its words. */
const isSilence = ({ noSpeechProbability, averageLogProbability }: Outcome): boolean =>
  noSpeechProbability > MAX_NO_SPEECH_PROBABILITY && averageLogProbability < MIN_MEAN_LOG_PROBABILITY

const isBelievable = (outcome: Outcome): boolean =>
  isSilence(outcome) ||
  (!outcome.isLooping &&
    outcome.compressionRatio <= MAX_COMPRESSION_RATIO &&
    outcome.averageLogProbability >= MIN_MEAN_LOG_PROBABILITY)

/** Whether somebody said it. */
export const isSpoken = (outcome: Outcome): boolean =>
  !isSilence(outcome) && !isSilencePhrase(outcome) && outcome.text !== ''

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

export const confidenceOf = (outcome: Outcome): Confidence => ({
  averageLogProbability: outcome.averageLogProbability,
  compressionRatio: outcome.compressionRatio,
  noSpeechProbability: outcome.noSpeechProbability,
  temperature: outcome.temperature,
})
