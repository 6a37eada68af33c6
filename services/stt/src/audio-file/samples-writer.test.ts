import { pcm16, resample } from '@hearth/shared/audio'
import { AppError } from '@hearth/shared/errors'
import { expect, test } from 'vitest'
import { SamplesWriter } from './samples-writer.ts'

const RATE_HZ = 16_000
const second = new Float32Array(RATE_HZ)
const LIMITS = { minSeconds: 0.1, maxSeconds: 1500 }

function secondsUntilRefused(bytesPerSecond: number): { seconds: number; code: string } {
  const writer = new SamplesWriter(LIMITS)
  try {
    for (let at = 1; at <= 2000; at++) writer.add([second], RATE_HZ, at * bytesPerSecond)
    return { seconds: writer.seconds, code: 'none' }
  } catch (error) {
    return { seconds: writer.seconds, code: error instanceof AppError ? error.code : String(error) }
  }
}

test('what unfolds far beyond its bytes is refused long before its end; a recording of low rate is not', () => {
  expect(secondsUntilRefused(100)).toEqual({ seconds: expect.closeTo(900, -1), code: 'audio_too_long' })
  // Six kbit/s, as the smallest telephone codecs: only the length counts.
  expect(secondsUntilRefused(750)).toEqual({ seconds: 1501, code: 'audio_too_long' })
})

test('pieces of any length are resampled as if they were one', () => {
  const sampleRateHz = 44_100
  const sound = Float32Array.from({ length: 25 * sampleRateHz }, (_, n) => 0.5 * Math.sin(n * n * 1e-6))
  const writer = new SamplesWriter(LIMITS)
  for (let at = 0, size = 1; at < sound.length; at += size, size = 1 + ((size * 7919) % 90_000))
    writer.add([sound.subarray(at, at + size)], sampleRateHz, 1e9)
  const pieces = writer.end()
  const whole = new Int16Array(pcm16(resample({ samples: sound, sampleRateHz }, 16_000).samples).buffer)
  expect(pieces.every((sample, at) => sample === whole[at])).toBe(true)
  expect(pieces).toHaveLength(25 * 16_000)
})

test('one rate is expected, and channels are mixed', () => {
  const writer = new SamplesWriter(LIMITS)
  writer.add([second.map(() => 0.25), second.map(() => 0.5)], RATE_HZ, 1000)
  expect(() => writer.add([second], 8000, 2000)).toThrow('one sample rate')
  const samples = writer.end()
  expect(samples).toHaveLength(16_000)
  expect(samples[8000]).toBeCloseTo(0.375 * 32_768, -2)
})
