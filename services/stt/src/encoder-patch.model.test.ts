import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomEncoder } from '@hearth/models/random-whisper'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { openWindow } from './encoder-patch.ts'
import { withOpenWindow } from './open-window.ts'

const SHAPE = { width: 32, layers: 1, heads: 2 }
const MELS = 80

const features = (frames: number) =>
  new Tensor(
    'float32',
    Float32Array.from({ length: MELS * frames }, (_, n) => Math.sin(n * 0.37)),
    [1, MELS, frames],
  )

async function run(file: Uint8Array, frames: number): Promise<Float32Array> {
  const session = await InferenceSession.create(file, { logSeverityLevel: 4 })
  try {
    const { last_hidden_state: states } = await session.run({ input_features: features(frames) })
    return states?.data as Float32Array
  } finally {
    await session.release()
  }
}

const distance = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? NaN))), 0)

test('an encoder that always heard 30 s hears less, and 30 s as before', async () => {
  const fixed = randomEncoder(SHAPE, false)
  const patched = openWindow(fixed)
  if (!patched) throw new Error('expected a patched file')
  await expect(run(fixed, 400)).rejects.toThrow(/broadcast/u)
  expect(distance(await run(patched, 3000), await run(fixed, 3000))).toBeLessThan(1e-4)
  // The same weights in an export that was made to fit.
  const short = await run(patched, 400)
  expect(short).toHaveLength(200 * SHAPE.width)
  expect(distance(short, await run(randomEncoder(SHAPE, true), 400))).toBeLessThan(1e-4)
})

test('a model is loaded with its encoder changed, and nothing of it stays on the disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-test-'))
  try {
    await mkdir(join(folder, 'onnx'))
    await writeFile(join(folder, 'config.json'), '{}')
    await writeFile(join(folder, 'onnx/encoder_model.onnx'), randomEncoder(SHAPE, false))
    const seen = await withOpenWindow({ dir: folder, dtype: 'fp32', threads: 1 }, async ({ dir }) => {
      expect(await readFile(join(dir, 'config.json'), 'utf8')).toBe('{}')
      return { dir, states: await run(await readFile(join(dir, 'onnx/encoder_model.onnx')), 400) }
    })
    expect(seen.states).toHaveLength(200 * SHAPE.width)
    await expect(readFile(join(seen.dir, 'config.json'))).rejects.toThrow('ENOENT')
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a file without such a table is left alone, and one that breaks off is told', () => {
  expect(openWindow(randomEncoder(SHAPE, true))).toBeNull()
  expect(openWindow(new Uint8Array())).toBeNull()
  expect(() => openWindow(randomEncoder(SHAPE, false).subarray(0, 5000))).toThrow('breaks off')
})
