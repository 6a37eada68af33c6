/**
 * When each word of a speech is said. From the model's own durations where its graph gives them (Kokoro's "timestamped" export does), else
 * estimated: sounds have typical lengths, and together they last as long as the sound. Both walk through the same symbols.
 */
import type { PhonemeWord } from './phonemes.ts'
import type { TimedWord } from './speech.ts'

/** How long the next symbols last, in any unit; asked for all symbols of a run in order. */
export type TakeSymbols = (symbols: string) => number

/** Where a run's words lie in its sound: from there, and to where or how long a unit of `TakeSymbols` is. */
export type Stretch = { readonly fromMs: number } & ({ readonly toMs: number } | { readonly unitMs: number })

/** `frames` belong to the tokens of a run, a pad at both ends; `countTokens` measures symbols without pads. */
export function byDurations(frames: ArrayLike<number>, countTokens: (symbols: string) => number): TakeSymbols {
  let at = 1
  return (symbols) => {
    const end = Math.min(frames.length - 1, at + countTokens(symbols))
    let sum = 0
    for (; at < end; at++) sum += frames[at] ?? 0
    return sum
  }
}

/** Lengths of sounds relative to a short vowel's. */
const LENGTHS: readonly (readonly [RegExp, number])[] = [
  [/[.!?…]/u, 5],
  [/[,;:—]/u, 2.5],
  [/[ˈˌ"“”()]/u, 0],
  [/ /, 0.2],
  [/ː/u, 0.7],
  [/[AIOQWY]/, 1.7],
  [/[aɑɐæɒəɚɛɜiɪoɔuʊʌeyøœɯɤᵻ]/u, 1],
  [/\p{M}/u, 0],
]
const OTHER_LENGTH = 0.8

export const byTypicalLengths: TakeSymbols = (symbols) => {
  let sum = 0
  for (const symbol of symbols) sum += LENGTHS.find(([kind]) => kind.test(symbol))?.[1] ?? OTHER_LENGTH
  return sum
}

const MARKED = /^(["“(]*)(.*?)([;:,.!?…—"”) ]*)$/su

/** The words of one run of the graph with their times in milliseconds. Pauses at marks belong to no word. */
export function timeWords(words: readonly PhonemeWord[], take: TakeSymbols, stretch: Stretch): TimedWord[] {
  let at = 0
  const spans = words.map(({ symbols, written }, index) => {
    const [, opening = '', core = '', closing = ''] = MARKED.exec(symbols) ?? []
    at += take(opening)
    const start = at
    at += take(core)
    const end = at
    at += take(closing) + (index + 1 < words.length ? take(' ') : 0)
    return { written, start, end }
  })
  // A mark at the end is a pause after the sound, which is not a part of it.
  const total = Math.max(spans.at(-1)?.end ?? 0, Number.MIN_VALUE)
  const scale = 'unitMs' in stretch ? stretch.unitMs : (stretch.toMs - stretch.fromMs) / total
  const inMs = (amount: number): number => stretch.fromMs + amount * scale
  return spans.flatMap(({ written, start, end }) => parted(written, inMs(start), inMs(end)))
}

/** Written words that are said in one, each with its part of the time by its letters. */
function parted(written: readonly string[], startMs: number, endMs: number): TimedWord[] {
  const letters = written.join('').length
  let at = startMs
  return written.map((word) => {
    const from = at
    at += ((endMs - startMs) * word.length) / letters
    return { word, startMs: from, endMs: at }
  })
}
