import { concat } from '@hearth/shared/audio'
import { describe, expect, test } from 'vitest'
import { checkWaveform, pauseMs, silenceAfter, trimFragment } from './waveform.ts'

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

describe('a fragment without the silence around it', () => {
  const input = tone(300, 1000, 500)
  const { sound, tail, startsAt } = trimFragment(input, RATE)

  test('has the sound with 60 ms before and after it', () => {
    expect(sound.length).toBe(at(60 + 1000 + 60))
    expect(sound.slice(at(60), at(1060))).toEqual(input.slice(at(300), at(1300)))
    expect(startsAt).toBe(at(240))
  })

  test('has its own ending apart, for when nothing follows', () => {
    expect(tail.length).toBe(at(500 - 60))
  })
})

test('edges begin and end at zero and reach full level within 5 ms', () => {
  const { sound } = trimFragment(new Float32Array(at(100)).fill(0.5), RATE)
  expect([sound[0], sound.at(-1)]).toEqual([0, 0])
  expect([sound[at(5)], sound.at(-1 - at(5))]).toEqual([0.5, 0.5])
})

test('what was given is not changed', () => {
  const input = new Float32Array(at(100)).fill(0.5)
  trimFragment(input, RATE)
  expect(input).toEqual(new Float32Array(at(100)).fill(0.5))
})

test.each([
  ['one sample', Float32Array.of(0.5)],
  ['no samples', new Float32Array(0)],
  ['silence', new Float32Array(100)],
])('%s is no problem', (_, samples) => {
  const { sound, tail } = trimFragment(samples, RATE)
  expect(sound.length + tail.length).toBe(samples.length)
})

test('a pause counts the margin behind the sound as a part of it', () => {
  expect([silenceAfter(240, RATE).length, silenceAfter(10, RATE).length]).toEqual([at(180), 0])
})

test('no seam jumps more than the signal around it does by itself', () => {
  const largest = (samples: Float32Array): number =>
    samples.reduce((most, sample, i) => Math.max(most, i === 0 ? 0 : Math.abs(sample - (samples[i - 1] ?? 0))), 0)
  const hum = (phase: number) => Float32Array.from({ length: at(200) }, (_, i) => 0.5 * Math.sin(i / 20 + phase))
  const parts = [hum(0), hum(1.5), hum(3)]
  const joined = concat(parts.flatMap((part) => [trimFragment(part, RATE).sound, silenceAfter(40, RATE)]))
  // the fade's own slope is all that is added
  expect(largest(joined)).toBeLessThanOrEqual(largest(hum(0)) + 0.5 / at(5))
  expect(largest(concat(parts))).toBeGreaterThan(5 * largest(joined))
  expect(joined[0]).toBe(0)
})

test('a sentence is followed by a longer pause than a clause, and fast speech by shorter ones', () => {
  expect(pauseMs('Yes.', 1)).toBeGreaterThan(pauseMs('Yes,', 1))
  expect(pauseMs('Yes,', 1)).toBeGreaterThan(pauseMs('Yes', 1))
  expect(pauseMs('He said "yes."', 2)).toBe(pauseMs('Yes.', 1) / 2)
})
