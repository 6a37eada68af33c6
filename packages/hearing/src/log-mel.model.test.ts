import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { WhisperFeatureExtractor } from '@huggingface/transformers'
import { decodeWav } from '@hearth/shared/wav'
import { describe, expect, test } from 'vitest'
import { createLogMel } from './log-mel.ts'

const speech = join(import.meta.dirname, '../../../models/speech')
const recording = (file: string): Float32Array => decodeWav(readFileSync(join(speech, file))).samples

/** What transformers.js computes: [mels, frames]. */
async function reference(samples: Float32Array, mels: number, frames: number): Promise<Float32Array> {
  const extractor = new WhisperFeatureExtractor({
    feature_size: mels,
    hop_length: 160,
    n_fft: 400,
    n_samples: 480_000,
    nb_max_frames: 3000,
    sampling_rate: 16_000,
  })
  // oxlint-disable-next-line no-underscore-dangle -- the public call is not typed
  const { input_features: tensor } = await extractor._call(samples, { max_length: frames * 160 })
  return Float32Array.from(tensor.tolist().flat(2))
}

function features(samples: Float32Array, mels: number, frames: number): Float32Array {
  const out = new Float32Array(mels * frames)
  createLogMel(mels)(samples, frames, out, 0)
  return out
}

const worstDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((worst, x, at) => Math.max(worst, Math.abs(x - (b[at] ?? NaN))), 0)

describe('log-mel features equal those of transformers.js', () => {
  for (const mels of [80, 128])
    for (const frames of [330, 331, 3000])
      test(`for real speech at ${mels} mels and ${frames} frames`, async () => {
        for (const file of ['007.wav', '010.wav', '023.wav']) {
          const samples = recording(file)
          const [got, expected] = [features(samples, mels, frames), await reference(samples, mels, frames)]
          expect(got.length).toBe(expected.length)
          expect(worstDifference(got, expected)).toBeLessThan(1e-4)
        }
      })

  test('for speech cut off by the window, for silence, and for a single loud click', async () => {
    const click = new Float32Array(16_000)
    click[8000] = 1
    for (const samples of [recording('007.wav'), new Float32Array(16_000), click, new Float32Array(0)])
      expect(worstDifference(features(samples, 80, 102), await reference(samples, 80, 102))).toBeLessThan(1e-4)
  })

  test('where loud speech pushes quiet frames to the floor of 80 dB below it', () => {
    const quietThenLoud = Float32Array.from({ length: 16_000 }, (_, n) => Math.sin(n / 3) * (n < 8000 ? 1e-7 : 0.9))
    const got = features(quietThenLoud, 80, 100)
    const [least, most] = [got.reduce((a, b) => Math.min(a, b)), got.reduce((a, b) => Math.max(a, b))]
    expect(most - least).toBeCloseTo(2, 5)
  })
})

test('a row is written at its offset and nowhere else', () => {
  const samples = recording('023.wav')
  const out = new Float32Array(3 * 80 * 100).fill(7)
  createLogMel(80)(samples, 100, out, 80 * 100)
  expect(out.subarray(0, 8000).every((x) => x === 7) && out.subarray(16_000).every((x) => x === 7)).toBe(true)
  expect(out.slice(8000, 16_000)).toEqual(features(samples, 80, 100))
})
