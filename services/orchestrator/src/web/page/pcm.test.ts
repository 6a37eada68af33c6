import { pcm16 } from '@hearth/shared/audio'
import { expect, test } from 'vitest'
import { decodePcm16, encodePcm16, loudness } from './pcm.ts'

test('samples go over the wire as the server writes them, clipped, and come back', () => {
  const samples = Float32Array.of(0, 0.5, -0.5, 1, -1, 2, -2, 0.000_01)
  const wire = encodePcm16(samples)
  expect(wire).toBe(Buffer.from(pcm16(samples)).toString('base64'))
  for (const [at, sample] of decodePcm16(wire).entries())
    expect(sample).toBeCloseTo(Math.max(-1, Math.min(1, samples[at] ?? 0)), 4)
})

test('a piece longer than a call may have arguments is encoded whole', () => {
  const samples = new Float32Array(100_000).fill(0.25)
  expect(decodePcm16(encodePcm16(samples))).toEqual(samples)
})

test('half a sample at the end is dropped', () => {
  expect(decodePcm16(Buffer.from([0, 64, 1]).toString('base64'))).toEqual(Float32Array.of(0.5))
})

test('loudness is the root mean square, and that of nothing is 0', () => {
  expect(loudness(Float32Array.of(0.3, -0.3))).toBeCloseTo(0.3)
  expect(loudness(new Float32Array(0))).toBe(0)
})
