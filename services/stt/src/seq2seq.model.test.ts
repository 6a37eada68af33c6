import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { floatsOf } from './tensor-rows.ts'
import { distance } from './testing/encoder-runs.ts'
import { splitWeights } from './testing/weights-beside.ts'
import { loadWhisper } from './whisper-model.ts'

const DEMO = join(import.meta.dirname, '../../../models/demo/whisper')
const ENCODER = 'encoder_model.onnx'
const FRAMES = 400

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hearth-weights-'))
  await mkdir(join(folder, 'model/onnx'), { recursive: true })
})
afterEach(() => rm(folder, { recursive: true }))

/** The demo model with the files of its encoder put where `place` puts them. */
async function modelWith(place: (name: string, bytes: Uint8Array) => Promise<void>): Promise<string> {
  const model = join(folder, 'model')
  for (const name of await readdir(DEMO)) if (name !== 'onnx') await symlink(join(DEMO, name), join(model, name))
  for (const name of await readdir(join(DEMO, 'onnx')))
    if (name !== ENCODER) await symlink(join(DEMO, 'onnx', name), join(model, 'onnx', name))
  const { file, weights } = splitWeights(await readFile(join(DEMO, 'onnx', ENCODER)), `${ENCODER}_data`)
  await place(ENCODER, file)
  await place(`${ENCODER}_data`, weights)
  return model
}

async function heardBy(dir: string): Promise<Float32Array> {
  const model = await loadWhisper({ dir, dtype: 'fp32', threads: 1 }, 'as-is')
  const sound = Float32Array.from({ length: model.mels * FRAMES }, (_, n) => Math.sin(n * 0.37))
  const { states } = await model.encode(sound, FRAMES)
  await model.close()
  return floatsOf(states)
}

test('an encoder whose weights lie beside it is changed as any', async () => {
  const model = await modelWith((name, bytes) => writeFile(join(folder, 'model/onnx', name), bytes))
  using create = vi.spyOn(InferenceSession, 'create')
  const heard = await heardBy(model)
  // The decoder alone as it lies there.
  expect(create.mock.calls.filter(([file]) => typeof file === 'string')).toHaveLength(1)
  expect(distance(heard, await heardBy(DEMO))).toBeLessThan(1e-3)
})

test("an encoder whose weights lie behind links, as in the hub's cache, is taken as it is", async () => {
  const model = await modelWith(async (name, bytes) => {
    const blob = join(folder, `blob-${name.length}`)
    await writeFile(blob, bytes)
    await symlink(blob, join(folder, 'model/onnx', name))
  })
  expect(distance(await heardBy(model), await heardBy(DEMO))).toBeLessThan(1e-3)
})
