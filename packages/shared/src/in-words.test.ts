import { expect, test } from 'vitest'
import { bytesInWords, durationInWords } from './in-words.ts'

test.each([
  [22, '0 kB'],
  [45_200, '45 kB'],
  [326_400, '0.3 MB'],
  [9_900_000, '9.9 MB'],
  [326_100_000, '326 MB'],
  [1_240_000_000, '1.2 GB'],
])('%d bytes are %s', (bytes, words) => {
  expect(bytesInWords(bytes)).toBe(words)
})

test.each([
  [0, '0 s'],
  [8100, '9 s'],
  [59_001, '1 min 0 s'],
  [125_000, '2 min 5 s'],
  [4_200_000, '1 h 10 min'],
])('%d ms are %s', (ms, words) => {
  expect(durationInWords(ms)).toBe(words)
})
