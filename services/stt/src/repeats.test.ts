import { expect, test } from 'vitest'
import type { Answer } from './reply-formats.ts'
import { Repeats } from './repeats.ts'

const answer = (text: string): Answer => ({
  parts: [{ text, segments: [], words: [], endSeconds: 1 }],
  language: 'en',
  languageProbability: null,
  tokens: 1,
  promptTokens: 4,
  queueMs: 0,
  inferenceMs: 1,
  batchSize: 1,
  model: 'demo/whisper',
  seconds: 1,
  task: 'transcribe',
  warnings: [],
})

const file = Uint8Array.of(1, 2, 3)

test('the same bytes with the same wishes have one name, others another', () => {
  const repeats = new Repeats({ seconds: 60 })
  const name = repeats.key(file, { language: 'en' })
  expect(repeats.key(Uint8Array.of(1, 2, 3), { language: 'en' })).toBe(name)
  expect(repeats.key(Uint8Array.of(1, 2, 4), { language: 'en' })).not.toBe(name)
  expect(repeats.key(file, { language: 'de' })).not.toBe(name)
})

test('an answer is kept for its time', () => {
  let now = 0
  const repeats = new Repeats({ seconds: 60, now: () => now })
  repeats.set('a', answer('hello'))
  now = 59_999
  expect(repeats.get('a')).toEqual(answer('hello'))
  now = 60_000
  expect(repeats.get('a')).toBeUndefined()
})

test('the one not asked for the longest goes first, by number and by size', () => {
  const repeats = new Repeats({ seconds: 60, now: () => 0 })
  for (let at = 0; at < 256; at++) repeats.set(String(at), answer('x'))
  repeats.get('0')
  repeats.set('new', answer('x'))
  expect([repeats.get('0'), repeats.get('1'), repeats.get('new')].map(Boolean)).toEqual([true, false, true])
  for (let at = 0; at < 3; at++) repeats.set(`large${at}`, answer('x'.repeat(3_000_000)))
  expect([repeats.get('0'), repeats.get('large0'), repeats.get('large2')].map(Boolean)).toEqual([false, false, true])
})

test('nothing is kept when it is off, or of a file that is large', () => {
  expect(new Repeats({ seconds: 0 }).key(file, {})).toBeNull()
  expect(new Repeats({ seconds: 60 }).key(new Uint8Array(5_000_000), {})).toBeNull()
  const repeats = new Repeats({ seconds: 60 })
  repeats.set(null, answer('x'))
  expect(repeats.get(null)).toBeUndefined()
})
