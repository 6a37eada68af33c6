import { AppError } from '@hearth/shared/errors'
import { expect, test } from 'vitest'
import { RecordingLength } from './recording-length.ts'

const RATE_HZ = 16_000
const LIMITS = { minSeconds: 0.1, maxSeconds: 1500 }

function secondsUntilRefused(bytesPerSecond: number): { seconds: number; code: string } {
  const length = new RecordingLength(LIMITS)
  try {
    for (let at = 1; at <= 2000; at++) length.add(RATE_HZ, RATE_HZ, at * bytesPerSecond)
    return { seconds: length.seconds, code: 'none' }
  } catch (error) {
    return { seconds: length.seconds, code: error instanceof AppError ? error.code : String(error) }
  }
}

test('what unfolds far beyond its bytes is refused long before its end; a recording of low rate is not', () => {
  expect(secondsUntilRefused(100)).toEqual({ seconds: expect.closeTo(900, -1), code: 'audio_too_long' })
  // Six kbit/s, as the smallest telephone codecs: only the length counts.
  expect(secondsUntilRefused(750)).toEqual({ seconds: 1501, code: 'audio_too_long' })
})

test('one rate is expected', () => {
  const length = new RecordingLength(LIMITS)
  length.add(RATE_HZ, RATE_HZ, 1000)
  expect(() => length.add(RATE_HZ, 8000, 2000)).toThrow('one sample rate')
})
