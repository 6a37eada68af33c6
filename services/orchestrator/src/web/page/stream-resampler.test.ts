import { concat, resample } from '@hearth/shared/audio'
import { describe, expect, test } from 'vitest'
import { StreamResampler } from './stream-resampler.ts'

const tone = (hz: number, rateHz: number, count: number) =>
  Float32Array.from({ length: count }, (_, at) => Math.sin((2 * Math.PI * hz * at) / rateHz))

const level = (samples: Float32Array) => Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length)

/** In pieces of the lengths given, over and over. */
function inPieces(samples: Float32Array, [from, to]: readonly [number, number], lengths: readonly number[]) {
  const resampler = new StreamResampler(from, to)
  const parts: Float32Array[] = []
  for (let at = 0, turn = 0; at < samples.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1
    parts.push(resampler.push(samples.subarray(at, at + length)))
    at += length
  }
  return concat(parts)
}

describe.each([
  [48_000, 24_000],
  [44_100, 24_000],
  [16_000, 24_000],
  [24_000, 48_000],
  [24_000, 44_100],
  [24_000, 24_000],
] as const)('from %i to %i Hz', (from, to) => {
  test('pieces of any length give what the whole gives', () => {
    const sound = tone(440, from, 8000)
    const whole = inPieces(sound, [from, to], [8000])
    for (const lengths of [[128], [1, 2, 3], [7, 900]]) expect(inPieces(sound, [from, to], lengths)).toEqual(whole)
  })

  test('a tone stays the tone that the server’s own resampler makes, but for the delay of the filter', () => {
    const sound = tone(1000, from, from / 2)
    const streamed = inPieces(sound, [from, to], [128])
    const { samples: expected } = resample({ samples: sound, sampleRateHz: from }, to)
    const [early, late] = [Math.floor(to / 8), Math.floor(to / 4)]
    const delays = Array.from({ length: Math.ceil(to * 0.0015) + 1 }, (_, delay) => {
      const middle = streamed.subarray(early + delay, late + delay)
      return level(middle.map((sample, at) => sample - (expected[at + early] ?? 0)))
    })
    // Not all delays are whole samples.
    expect(Math.min(...delays)).toBeLessThan(0.15)
    expect(level(streamed.subarray(early, late))).toBeCloseTo(Math.SQRT1_2, 2)
  })

  test('gives as many samples as time has passed, less the delay of 1.5 ms', () => {
    const count = inPieces(new Float32Array(from), [from, to], [128]).length
    expect(count).toBeLessThanOrEqual(to)
    expect(count).toBeGreaterThan(to * 0.998)
  })
})

test('what the lower rate can’t hold is removed, not folded back', () => {
  const folded = inPieces(tone(15_000, 48_000, 24_000), [48_000, 24_000], [128])
  expect(level(folded.subarray(1000))).toBeLessThan(0.001)
})
