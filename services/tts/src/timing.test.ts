import { expect, test } from 'vitest'
import type { PhonemeWord } from './phonemes.ts'
import { byDurations, byTypicalLengths, timeWords } from './timing.ts'

const word = (symbols: string, ...written: string[]): PhonemeWord => ({ symbols, written })

test("each word lasts as long as the model's durations of its sounds, and pauses belong to none", () => {
  const words = [word('ab,', 'Ab'), word('c', 'c')]
  // pad a b , space c pad
  const frames = [9, 2, 3, 4, 1, 5, 9]
  const take = byDurations(frames, (symbols) => symbols.length)
  expect(timeWords(words, take, { fromMs: 100, unitMs: 10 })).toEqual([
    { word: 'Ab', startMs: 100, endMs: 150 },
    { word: 'c', startMs: 200, endMs: 250 },
  ])
})

test('durations that are too few, and symbols that are no tokens, only shift what follows', () => {
  const take = byDurations([1, 2, 1], (symbols) => symbols.length)
  expect([take('a'), take('bc'), take('d')]).toEqual([2, 0, 0])
  const counts = byDurations([1, 2, 3, 1], (symbols) => symbols.replaceAll('?', '').length)
  expect([counts('?'), counts('a'), counts('b')]).toEqual([0, 2, 3])
})

test('without durations the words share the sound by what they are made of', () => {
  const words = [word('hˈaɪ,', 'Hi'), word('wˈʌndɚfəl', 'wonderful'), word('dˈeɪ.', 'day')]
  const timed = timeWords(words, byTypicalLengths, { fromMs: 60, toMs: 1060 })
  expect(timed.map(({ word: said }) => said)).toEqual(['Hi', 'wonderful', 'day'])
  expect(timed[0]?.startMs).toBe(60)
  expect(timed.at(-1)?.endMs).toBeCloseTo(1060)
  const [hi, wonderful, day] = timed.map(({ startMs, endMs }) => endMs - startMs)
  expect(wonderful).toBeGreaterThan((hi ?? 0) + (day ?? 0))
  expect((timed[1]?.startMs ?? 0) - (timed[0]?.endMs ?? 0)).toBeGreaterThan(50)
})

test('words that are said in one share its time by their letters', () => {
  expect(timeWords([word('ʌvðə', 'of', 'them')], byTypicalLengths, { fromMs: 0, toMs: 600 })).toEqual([
    { word: 'of', startMs: 0, endMs: 200 },
    { word: 'them', startMs: 200, endMs: 600 },
  ])
})

test('nothing said has no times', () => {
  expect(timeWords([], byTypicalLengths, { fromMs: 0, toMs: 0 })).toEqual([])
  expect(timeWords([word('.', '')], byTypicalLengths, { fromMs: 0, toMs: 10 })[0]?.word).toBe('')
})
