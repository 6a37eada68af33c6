/** Recordings as a person's stream: silence before and after, a pause in the middle where one is wanted, and noise over all of it. */
import { join } from 'node:path'
import { readSpeech } from '@hearth/models/speech'

export const RATE_HZ = 16_000

export type Stream = {
  readonly samples: Float32Array
  /** Where the words begin and end, in samples: what is louder than 35 dB below the loudest. */
  readonly from: number
  readonly to: number
}

type Shape = {
  /** dB by which the noise is below the speech; none without. */
  readonly noiseDb?: number
  /** Milliseconds of silence where the sentence can be cut. */
  readonly pauseMs?: number
}

const SILENCE = { before: RATE_HZ, after: 9 * RATE_HZ }
const QUIET_DB = -35

export const sentences = readSpeech(join(import.meta.dirname, '../models/speech')).flatMap(
  ({ kind, samples, cutSeconds }) =>
    kind === 'sentence'
      ? [{ samples: trimmed(samples), cut: cutSeconds === null ? null : cutSeconds * RATE_HZ - firstLoud(samples) }]
      : [],
)
export type Sentence = (typeof sentences)[number]

function quietLevel(samples: Float32Array): number {
  return samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0) * 10 ** (QUIET_DB / 20)
}
function firstLoud(samples: Float32Array): number {
  const quiet = quietLevel(samples)
  return samples.findIndex((x) => Math.abs(x) > quiet)
}
function trimmed(samples: Float32Array): Float32Array {
  const quiet = quietLevel(samples)
  return samples.slice(firstLoud(samples), samples.findLastIndex((x) => Math.abs(x) > quiet) + 1)
}

/** What is said of a sentence before it is cut. */
export const beginningOf = ({ samples, cut }: Sentence): Float32Array => trimmed(samples.slice(0, Math.round(cut ?? 0)))

export function streamOf({ samples, cut }: Sentence, { noiseDb, pauseMs = 0 }: Shape): Stream {
  const pause = Math.round((pauseMs / 1000) * RATE_HZ)
  const at = Math.round(cut ?? samples.length)
  const all = new Float32Array(SILENCE.before + samples.length + pause + SILENCE.after)
  all.set(samples.subarray(0, at), SILENCE.before)
  all.set(samples.subarray(at), SILENCE.before + at + pause)
  if (noiseDb !== undefined) addNoise(all, rootMeanSquare(samples) * 10 ** (-noiseDb / 20))
  return { samples: all, from: SILENCE.before, to: SILENCE.before + samples.length + pause }
}

const rootMeanSquare = (samples: Float32Array) => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length)

/** Pink-ish noise: white, through a gentle low-pass. The same each time. */
function addNoise(samples: Float32Array, level: number): void {
  let [seed, low] = [1, 0]
  for (let at = 0; at < samples.length; at++) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    low = 0.7 * low + (seed / 2 ** 31 - 1)
    samples[at] = (samples[at] ?? 0) + 0.8 * level * low
  }
}
