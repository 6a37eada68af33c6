import { describe, expect, test } from 'vitest'
import { resample } from './audio.ts'
import { StreamResampler } from './audio-stream.ts'

const noise = Float32Array.from({ length: 5000 }, (_, at) => Math.sin(at * at))

describe('a stream resampler', () => {
  test.each([
    [24_000, 16_000],
    [8000, 16_000],
    [44_100, 16_000],
    [16_000, 16_000],
  ])('gives what resampling the whole gives, %i to %i Hz', (from, to) => {
    const stream = new StreamResampler(from, to)
    const out: number[] = []
    for (let at = 0, size = 1; at < noise.length; at += size, size = (size * 7) % 480 || 1)
      out.push(...stream.push(noise.subarray(at, Math.min(at + size, noise.length))))
    const whole = resample({ samples: noise, sampleRateHz: from }, to).samples
    expect(whole.length - out.length).toBeLessThan(0.005 * to)
    expect(Math.max(...out.map((sample, at) => Math.abs(sample - (whole[at] ?? 0))))).toBeLessThan(1e-6)
  })
})
