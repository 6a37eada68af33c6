import { expect, test } from 'vitest'
import { tokenRuns } from './token-runs.ts'

const count = (symbols: string): number => symbols.length

test('what fits is one run', () => {
  expect(tokenRuns(['abc', 'de.'], count, 7)).toEqual(['abc de.'])
  expect(tokenRuns([], count, 7)).toEqual([])
})

test('every word comes out once, in order, in runs that fit', () => {
  const words = Array.from({ length: 400 }, (_, i) => `w${i}`)
  const runs = tokenRuns(words, count)
  expect(runs.length).toBeGreaterThan(1)
  expect(Math.max(...runs.map(count))).toBeLessThanOrEqual(510)
  expect(runs.join(' ').split(' ')).toEqual(words)
})

test('a run is filled to the last token when there is no mark', () => {
  expect(tokenRuns(['aaaa', 'bbbb', 'cccc'], count, 9)).toEqual(['aaaa bbbb', 'cccc'])
  expect(tokenRuns(['aaaa', 'bbbb', 'cccc'], count, 8)).toEqual(['aaaa', 'bbbb', 'cccc'])
})

test('the end of a sentence is a better place than a comma, and a comma than a space', () => {
  expect(tokenRuns(['aa', 'bb', 'cc.', 'dd,', 'ee', 'ff'], count, 16)).toEqual(['aa bb cc.', 'dd, ee ff'])
  expect(tokenRuns(['aa', 'bb', 'cc,', 'dd', 'ee', 'ff'], count, 16)).toEqual(['aa bb cc,', 'dd ee ff'])
})

test('a mark too early in the run is no place to cut', () => {
  expect(tokenRuns(['a.', 'bb', 'cc', 'dd', 'ee', 'ff'], count, 14)).toEqual(['a. bb cc dd ee', 'ff'])
})

test('a word longer than a run is cut, not dropped', () => {
  const runs = tokenRuns(['a'.repeat(1300)], count)
  expect(Math.max(...runs.map(count))).toBeLessThanOrEqual(510)
  expect(runs.join('').replaceAll(' ', '')).toBe('a'.repeat(1300))
})
