/**
 * Which tokens may come next. The rules are those of OpenAI's program: suppressed tokens, and timestamps that come in pairs,
 * never go back, and win when together they are likelier than any word.
 */
import type { GenerationSettings, TokenSettings } from './generation-settings.ts'
import { endToken, firstTimestamp } from './generation-settings.ts'
import { indexOfLargest, logSumExp } from './logits.ts'

/** Seconds from one timestamp token to the next. */
export const TIMESTAMP_SECONDS = 0.02
/** A text begins within the first second, when the model does not say otherwise. */
const MAX_INITIAL_TIMESTAMP = 50

/** Sets what is forbidden to -Infinity, in place. `tokens`: what the row has so far, without its prompt. */
export type TokenRules = (logits: Float32Array, tokens: readonly number[]) => void

/** What holds for every model; fewer than `exactTokens` are not enough. */
export function tokenRules(settings: TokenSettings, exactTokens: number): TokenRules {
  const end = endToken(settings)
  const suppressed = settings.suppress_tokens ?? []
  const first = settings.begin_suppress_tokens ?? []
  return (logits, tokens) => {
    for (const token of suppressed) logits[token] = -Infinity
    if (tokens.length === 0) for (const token of first) logits[token] = -Infinity
    if (tokens.length < exactTokens) logits[end] = -Infinity
  }
}

/** What else holds where timestamps are written. */
export function timestampRules(settings: GenerationSettings): TokenRules {
  const stamp = firstTimestamp(settings)
  return (logits, tokens) => {
    logits[settings.no_timestamps_token_id] = -Infinity
    if (tokens.length === 0) return keepBeginning(logits, stamp, settings)
    const last = tokens.at(-1) ?? 0
    const isStamped = last >= stamp
    const isPair = tokens.length < 2 || (tokens.at(-2) ?? 0) >= stamp
    if (isStamped && isPair) logits.fill(-Infinity, stamp)
    if (isStamped && !isPair) logits.fill(-Infinity, 0, endToken(settings))
    const latest = tokens.findLast((token) => token >= stamp)
    // The end of one segment may be the beginning of the next; but no segment is without length.
    if (latest !== undefined) logits.fill(-Infinity, stamp, isStamped && !isPair ? latest : latest + 1)
    preferTimestamps(logits, stamp)
  }
}

function keepBeginning(logits: Float32Array, stamp: number, settings: GenerationSettings): void {
  logits.fill(-Infinity, 0, stamp)
  logits.fill(-Infinity, stamp + (settings.max_initial_timestamp_index ?? MAX_INITIAL_TIMESTAMP) + 1)
}

function preferTimestamps(logits: Float32Array, stamp: number): void {
  const words = logits.subarray(0, stamp)
  if (logSumExp(logits.subarray(stamp)) > (words[indexOfLargest(words)] ?? -Infinity)) words.fill(-Infinity)
}

const LONGEST_LOOP = 16
const LEAST_ROUNDS = 10
const LEAST_LOOP_TOKENS = 20

/** The tokens at the end that only say again what stood before them; 0 unless a loop has come round ten times. */
export function loopLength(tokens: readonly number[]): number {
  for (let period = 1; period <= LONGEST_LOOP; period++) {
    const needed = Math.max(LEAST_LOOP_TOKENS, period * LEAST_ROUNDS)
    if (tokens.length < needed) return 0
    let same = 0
    while (same + period < tokens.length && tokens.at(-1 - same) === tokens.at(-1 - same - period)) same++
    if (same + period >= needed) return same
  }
  return 0
}
