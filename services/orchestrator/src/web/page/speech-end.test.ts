import { expect, test } from 'vitest'
import { SpeechEnd } from './speech-end.ts'

/** 40 ms each. */
function spoken(...levels: number[]): SpeechEnd {
  const end = new SpeechEnd()
  for (const [at, level] of levels.entries()) end.heard((at + 1) * 40, level)
  return end
}

test('speech ends where it became quiet, not where the silence was long enough', () => {
  expect(spoken(0.001, 0.3, 0.2, 0.05, 0.01, 0.002, 0.001).of(0, 280)).toBe(160)
})

test('a louder utterance before does not count, nor what came after', () => {
  expect(spoken(0.9, 0.001, 0.04, 0.03, 0.001, 0.001, 0.8).of(80, 240)).toBe(160)
})

test('of what is not known the end is the end', () => {
  expect(new SpeechEnd().of(0, 700)).toBe(700)
})

test('levels are forgotten in time', () => {
  const end = new SpeechEnd()
  for (let ms = 40; ms <= 100_000; ms += 40) end.heard(ms, ms < 1000 ? 1 : 0.01)
  expect(end.of(0, 100_000)).toBe(100_000)
  expect(end.of(0, 1000)).toBe(1000)
})
