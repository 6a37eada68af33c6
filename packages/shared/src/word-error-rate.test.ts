import { expect, test } from 'vitest'
import { sameWords, wordErrorRate } from './word-error-rate.ts'

test('case and punctuation are not errors', () => {
  expect(wordErrorRate([['Is it sunny in Prague?', 'is it sunny, in prague']])).toBe(0)
  expect(sameWords('Yes.', 'yes')).toBe(true)
})

test('a substitution, an insertion and a deletion each count one', () => {
  expect(wordErrorRate([['one two three four', 'one too three four']])).toBe(0.25)
  expect(wordErrorRate([['one two three four', 'one two and three four']])).toBe(0.25)
  expect(wordErrorRate([['one two three four', 'one two four']])).toBe(0.25)
})

test('pairs are weighed by their reference words', () => {
  expect(
    wordErrorRate([
      ['yes', 'no'],
      ['one two three', 'one two three'],
    ]),
  ).toBe(0.25)
})
