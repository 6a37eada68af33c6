import { pcm16, resample } from '@hearth/shared/audio'
import { expect, test } from 'vitest'
import { EngineSamples } from './engine-samples.ts'

const RATE_HZ = 16_000

/** What comes out when `sound` goes in, in pieces of so many samples. */
function converted(channels: readonly Float32Array[], sampleRateHz: number, sizes: (at: number) => number) {
  const samples = new EngineSamples()
  const pieces: Int16Array[] = []
  const [{ length } = new Float32Array(0)] = channels
  for (let at = 0, size = sizes(0); at < length; at += size, size = sizes(at)) {
    const piece = samples.add(
      channels.map((channel) => channel.subarray(at, at + size)),
      sampleRateHz,
    )
    if (piece) pieces.push(piece)
  }
  return [...pieces, ...[samples.end()].filter((piece) => piece !== null)]
}

test('pieces of any length are resampled as if they were one', () => {
  const sampleRateHz = 44_100
  const sound = Float32Array.from({ length: 25 * sampleRateHz }, (_, n) => 0.5 * Math.sin(n * n * 1e-6))
  const pieces = converted([sound], sampleRateHz, (at) => 1 + ((at * 7919) % 90_000)).flatMap((piece) => [...piece])
  const whole = new Int16Array(pcm16(resample({ samples: sound, sampleRateHz }, RATE_HZ).samples).buffer)
  expect(pieces.every((sample, at) => sample === whole[at])).toBe(true)
  expect(pieces).toHaveLength(25 * RATE_HZ)
})

test('they come out ten seconds at a time', () => {
  const pieces = converted([new Float32Array(35 * RATE_HZ)], RATE_HZ, () => 1000)
  expect(pieces.reduce((sum, { length }) => sum + length, 0)).toBe(35 * RATE_HZ)
  for (const { length } of pieces) expect(length).toBeLessThanOrEqual(10 * RATE_HZ)
})

test('channels are mixed', () => {
  const second = new Float32Array(RATE_HZ)
  const [samples] = converted([second.map(() => 0.25), second.map(() => 0.5)], RATE_HZ, () => RATE_HZ)
  expect(samples).toHaveLength(RATE_HZ)
  expect(samples?.[8000]).toBeCloseTo(0.375 * 32_768, -2)
})
