import { concat } from '@hearth/shared/audio'
import { expect, test } from 'vitest'
import { cutAtPauses } from './pieces.ts'

const options = { sampleRateHz: 1000, maxSeconds: 30 }

/** A tone of `seconds` with pauses of 0.3 s around the given seconds. */
const toneWithPauses = (seconds: number, pauses: readonly number[]): Float32Array =>
  Float32Array.from({ length: seconds * 1000 }, (_, n) =>
    pauses.some((pause) => Math.abs(n / 1000 - pause) < 0.15) ? 0 : Math.sin(n) * 0.5,
  )

test('a recording that fits one window stays whole and is not copied', () => {
  const samples = toneWithPauses(30, [])
  expect(cutAtPauses(samples, options)).toEqual([samples])
  expect(cutAtPauses(samples, options)[0]).toBe(samples)
})

test("a longer one is cut in the middle of the pause near each window's end", () => {
  const pieces = cutAtPauses(toneWithPauses(70, [12, 27, 54]), options)
  const ends = pieces.map((_, at) => pieces.slice(0, at + 1).reduce((sum, piece) => sum + piece.length, 0) / 1000)
  expect(ends[0]).toBeCloseTo(27, 1)
  expect(ends[1]).toBeCloseTo(54, 1)
  expect(ends).toHaveLength(3)
})

test('no sample is lost or doubled, and no piece is longer than a window, with or without pauses', () => {
  for (const pauses of [[], [29.9], [25.1, 50, 75]])
    for (const seconds of [31, 60, 100]) {
      const samples = toneWithPauses(seconds, pauses)
      const pieces = cutAtPauses(samples, options)
      expect(pieces.every((piece) => piece.length <= 30_000 && piece.length > 0)).toBe(true)
      expect(concat(pieces)).toEqual(samples)
    }
})

test('a piece owns its memory, so that it can move to another thread', () => {
  for (const piece of cutAtPauses(toneWithPauses(70, []), options))
    expect(piece.buffer.byteLength).toBe(piece.byteLength)
})
