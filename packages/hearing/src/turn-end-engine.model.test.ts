import { join } from 'node:path'
import { WhisperFeatureExtractor } from '@huggingface/transformers'
import { readSpeech } from '@hearth/models/speech'
import { engineSuite } from '@hearth/shared/testing/engine-suite'
import { never } from '@hearth/shared/testing/signals'
import { describe, expect, test } from 'vitest'
import { createLogMel } from './log-mel.ts'
import { createEngine, turnWindow } from './turn-end-engine.ts'
import type { TurnEndInput } from './turn-end-engine.ts'

const models = join(import.meta.dirname, '../../../models')
const recordings = readSpeech(join(models, 'speech'))
const sentences = recordings.filter(({ kind }) => kind === 'sentence')
const create = () =>
  createEngine({ dir: join(models, 'demo/turn'), file: 'onnx/model.onnx', threads: 1, maxBatchSize: 4 })

/** As the model is asked: after a pause of 224 ms. */
const paused = (samples: Float32Array, seconds = Infinity): TurnEndInput => {
  const said = samples.subarray(0, Math.min(samples.length, Math.round(seconds * 16_000)))
  const longer = new Float32Array(said.length + 7 * 512)
  longer.set(said)
  return { samples: longer }
}

describe('the turn-end model is an engine: it', () => {
  engineSuite({
    create,
    inputs: sentences
      .slice(0, 4)
      .map(({ samples, cutSeconds }, at) => paused(samples, at % 2 ? (cutSeconds ?? 1) : Infinity)),
    same: (a, b) => Math.abs(a - b) < 1e-4,
    emptyInputs: [{ samples: new Float32Array(0) }, { samples: new Float32Array(200_000) }],
  })
})

test('the demo tells whole sentences from cut ones', async () => {
  const engine = create()
  await engine.load()
  try {
    const judge = async (inputs: TurnEndInput[]) => {
      const rows = []
      for (const input of inputs) rows.push(...(await engine.run([input], { signal: never, emit: () => undefined })))
      return rows.filter((probability) => probability > 0.5).length / rows.length
    }
    const whole = await judge(sentences.map(({ samples }) => paused(samples)))
    const cut = await judge(
      sentences.flatMap(({ samples, cutSeconds }) => (cutSeconds ? [paused(samples, cutSeconds)] : [])),
    )
    expect(whole).toBeGreaterThan(0.85)
    expect(cut).toBeLessThan(0.2)
  } finally {
    await engine.close()
  }
})

test('features are those of WhisperFeatureExtractor with do_normalize, of sound padded in front', async () => {
  const extractor = new WhisperFeatureExtractor({
    feature_size: 80,
    hop_length: 160,
    n_fft: 400,
    n_samples: 128_000,
    nb_max_frames: 800,
    sampling_rate: 16_000,
  })
  const long = new Float32Array(150_000)
  long.set(recordings[0]?.samples ?? [], 100_000)
  for (const samples of [recordings[3]?.samples ?? new Float32Array(), long]) {
    const padded = new Float32Array(128_000)
    const last = samples.slice(-128_000)
    padded.set(last, 128_000 - last.length)
    const mean = padded.reduce((sum, x) => sum + x, 0) / padded.length
    const variance = padded.reduce((sum, x) => sum + (x - mean) ** 2, 0) / padded.length
    const normal = padded.map((x) => (x - mean) / Math.sqrt(variance + 1e-7))
    // oxlint-disable-next-line no-underscore-dangle -- the public call is not typed
    const { input_features: wanted } = await extractor._call(normal)
    const got = new Float32Array(80 * 800)
    createLogMel(80)(turnWindow(samples), 800, got, 0)
    const worst = Float32Array.from(wanted.tolist().flat(2)).reduce(
      (most, x, at) => Math.max(most, Math.abs(x - (got[at] ?? NaN))),
      0,
    )
    expect(worst).toBeLessThan(1e-3)
  }
})
