/**
 * A speech that took several runs of the graph: their sounds joined with a pause between them, and their words with the times that follow from it.
 * A speech of one run is left as the model gave it.
 */
import { concat } from '@hearth/shared/audio'
import type { PhonemeWord } from './phonemes.ts'
import type { TimedWord } from './speech.ts'
import { byDurations, byTypicalLengths, timeWords } from './timing.ts'
import { audibleRange, pauseMs, silenceAfter, trimFragment } from './waveform.ts'

/** Kokoro's. */
export const SAMPLE_RATE_HZ = 24_000
const inMs = (samples: number): number => (samples / SAMPLE_RATE_HZ) * 1000

/** The next of `words` that make up a run; a word that was cut in two is in the second of them. */
export function wordsOf(run: string, words: Iterator<PhonemeWord, undefined>): PhonemeWord[] {
  const taken: PhonemeWord[] = []
  for (let at = 0; at < run.length;) {
    const { done, value } = words.next()
    if (done === true) break
    taken.push(value)
    at += value.symbols.length + 1
  }
  return taken
}

/** The times of a run's words in its samples, by the model's durations or, without them, by guess. */
export function timeRun(
  words: readonly PhonemeWord[],
  samples: Float32Array,
  durations: ArrayLike<number> | null,
  countTokens: (symbols: string) => number,
): TimedWord[] {
  if (durations === null) {
    const { from, to } = audibleRange(samples)
    return timeWords(words, byTypicalLengths, { fromMs: inMs(from), toMs: inMs(to) })
  }
  const frames = Array.from(durations)
  const unitMs =
    inMs(samples.length) /
    Math.max(
      1,
      frames.reduce((sum, frame) => sum + frame, 0),
    )
  return timeWords(words, byDurations(frames, countTokens), { fromMs: (frames[0] ?? 0) * unitMs, unitMs })
}

export class JoinedRuns {
  readonly #speed: number
  readonly #parts: Float32Array[] = []
  readonly #words: TimedWord[] = []
  #length = 0
  #last: { readonly symbols: string; readonly samples: Float32Array; readonly words: readonly TimedWord[] } | undefined

  constructor(speed: number) {
    this.#speed = speed
  }

  add(symbols: string, samples: Float32Array, words: readonly TimedWord[]): void {
    if (this.#last !== undefined) {
      this.#join(this.#last, false)
      this.#push(silenceAfter(pauseMs(this.#last.symbols, this.#speed), SAMPLE_RATE_HZ))
    }
    this.#last = { symbols, samples, words }
  }

  /** All of it; the last run keeps its own ending. */
  end(): { samples: Float32Array; words: readonly TimedWord[] } {
    const last = this.#last
    if (last === undefined) return { samples: new Float32Array(0), words: [] }
    if (this.#parts.length === 0) return { samples: last.samples, words: last.words }
    this.#join(last, true)
    return { samples: concat(this.#parts), words: this.#words }
  }

  #join({ samples, words }: { samples: Float32Array; words: readonly TimedWord[] }, isLast: boolean): void {
    const { sound, tail, startsAt } = trimFragment(samples, SAMPLE_RATE_HZ)
    const shiftMs = inMs(this.#length - startsAt)
    for (const { word, startMs, endMs } of words)
      this.#words.push({ word, startMs: startMs + shiftMs, endMs: endMs + shiftMs })
    this.#push(sound)
    if (isLast) this.#push(tail)
  }

  #push(part: Float32Array): void {
    this.#parts.push(part)
    this.#length += part.length
  }
}
