import { describe, expect, test } from 'vitest'
import { checkWaveform, pauseMs, shapeFragment } from './waveform.ts'

const RATE = 24_000
const at = (ms: number): number => (ms * RATE) / 1000

/** `ms` of a loud tone with silence before and after. */
function tone(before: number, ms: number, after: number): Float32Array {
  const samples = new Float32Array(at(before + ms + after))
  for (let i = at(before); i < at(before + ms); i++) samples[i] = 0.5 * Math.cos(i)
  return samples
}

test.each([[Number.NaN], [Number.POSITIVE_INFINITY]])('%s is no sample', (value) => {
  expect(() => checkWaveform(Float32Array.of(0, value, 0))).toThrow('no numbers')
})

test('no samples are no speech', () => {
  expect(() => checkWaveform(new Float32Array(0))).toThrow('no samples')
})

describe('a fragment that another follows', () => {
  const input = tone(300, 1000, 500)
  const shaped = shapeFragment(input, { sampleRateHz: RATE, pauseMs: 240 })

  test('has the sound, 60 ms before it, and its pause after it', () => {
    expect(shaped.length).toBe(at(60 + 1000 + 240))
    expect(shaped.slice(at(60), at(1060))).toEqual(input.slice(at(300), at(1300)))
  })
})

test('the last fragment keeps its own ending', () => {
  const shaped = shapeFragment(tone(0, 1000, 500), { sampleRateHz: RATE, pauseMs: null })
  expect(shaped.length).toBe(at(1500))
})

test('edges begin and end at zero and reach full level within 5 ms', () => {
  const shaped = shapeFragment(new Float32Array(at(100)).fill(0.5), { sampleRateHz: RATE, pauseMs: null })
  expect([shaped[0], shaped.at(-1)]).toEqual([0, 0])
  expect([shaped[at(5)], shaped.at(-1 - at(5))]).toEqual([0.5, 0.5])
})

test('what was given is not changed', () => {
  const input = new Float32Array(at(100)).fill(0.5)
  shapeFragment(input, { sampleRateHz: RATE, pauseMs: null })
  expect(input).toEqual(new Float32Array(at(100)).fill(0.5))
})

test.each([
  ['one sample', Float32Array.of(0.5)],
  ['no samples', new Float32Array(0)],
  ['silence', new Float32Array(100)],
])('%s is no problem', (_, samples) => {
  expect(shapeFragment(samples, { sampleRateHz: RATE, pauseMs: null }).length).toBe(samples.length)
})

test('a sentence is followed by a longer pause than a clause, and fast speech by shorter ones', () => {
  expect(pauseMs('Yes.', 1)).toBeGreaterThan(pauseMs('Yes,', 1))
  expect(pauseMs('Yes,', 1)).toBeGreaterThan(pauseMs('Yes', 1))
  expect(pauseMs('He said "yes."', 2)).toBe(pauseMs('Yes.', 1) / 2)
})
