import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Graph } from '@hearth/models/onnx-writer'
import { randomEncoder } from '@hearth/models/random-whisper'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { fuseAttention } from './fused-attention.ts'
import { openWindow } from './open-window.ts'
import { distance, runEncoder } from './testing/encoder-runs.ts'

const DEMO = join(import.meta.dirname, '../../../models/demo/whisper/onnx')
const [HEADS, WIDTH] = [2, 16]
const countOf = (file: Uint8Array, kind: string) => Buffer.from(file).toString('latin1').split(kind).length - 1

function fused(file: Uint8Array): Uint8Array {
  const changed = fuseAttention(file)
  if (!changed) throw new Error('expected a changed file')
  return changed
}

test.each([400, 3000])('an encoder hears %i frames as before, with each attention one node', async (frames) => {
  const file = randomEncoder({ width: 32, layers: 3, heads: 2 }, true)
  const changed = fused(file)
  expect(countOf(changed, 'MultiHeadAttention')).toBe(3)
  expect(countOf(changed, 'Softmax\x2a')).toBe(0)
  expect(distance(await runEncoder(changed, frames), await runEncoder(file, frames))).toBeLessThan(1e-4)
})

test('an encoder whose window is opened is fused as well', async () => {
  const file = randomEncoder({ width: 32, layers: 1, heads: 2 }, false)
  const opened = openWindow(file)
  if (!opened) throw new Error('expected an opened window')
  expect(distance(await runEncoder(fused(opened), 400), await runEncoder(opened, 400))).toBeLessThan(1e-4)
})

test.each(['encoder_model.onnx', 'encoder_model_quantized.onnx'])('the demo model hears the same: %s', async (name) => {
  const file = readFileSync(join(DEMO, name))
  const [now, before] = [await runEncoder(fused(file), 400), await runEncoder(file, 400)]
  expect(distance(now, before)).toBeLessThan(1e-3)
})

type Form = {
  readonly rank: 3 | 4
  readonly scaling?: 'Mul' | 'Div'
  readonly hasMask?: boolean
  readonly isShown?: boolean
}

/** Attention alone, in one of the ways in which exports write it: x as [rows, positions, width]. */
function attention({ rank, scaling, hasMask = false, isShown = false }: Form): Uint8Array {
  const graph = new Graph()
  const split = (x: string) => {
    const heads = graph.op('Reshape', [x, graph.ints(0, 0, HEADS, WIDTH / HEADS)])
    const turned = graph.op('Transpose', [heads], { perm: [0, 2, 1, 3] })
    return rank === 4 ? turned : graph.op('Squeeze', [turned, graph.ints(0)])
  }
  const keys = graph.op('Transpose', [split('x')], { perm: rank === 4 ? [0, 1, 3, 2] : [0, 2, 1] })
  const scores = graph.op('MatMul', [split('x'), keys])
  const scaled = scaling ? graph.op(scaling, [scores, graph.scalar(2, 'float')]) : scores
  const masked = hasMask ? graph.op('Add', [scaled, graph.constant(Float32Array.of(0, -9, 0, 0, -9), [5])]) : scaled
  const chances = graph.op('Softmax', [masked], { axis: -1 }, isShown ? 'chances' : undefined)
  graph.op('MatMul', [chances, split('x')], {}, 'y')
  const sizes = rank === 4 ? ['rows', HEADS] : [HEADS]
  return graph.model(
    { x: ['float', ['rows', 'positions', WIDTH]] },
    {
      y: ['float', [...sizes, 'positions', WIDTH / HEADS]],
      ...(isShown && { chances: ['float', [...sizes, 'positions', 'positions']] as const }),
    },
  )
}

async function run(file: Uint8Array, rows: number): Promise<Float32Array> {
  const session = await InferenceSession.create(file, { logSeverityLevel: 4 })
  const data = Float32Array.from({ length: rows * 5 * WIDTH }, (_, at) => Math.sin(at * at))
  const { y } = await session.run({ x: new Tensor('float32', data, [rows, 5, WIDTH]) })
  await session.release()
  return y?.data as Float32Array
}

test.each<Form>([
  { rank: 4 },
  { rank: 3 },
  { rank: 4, scaling: 'Mul' },
  { rank: 4, scaling: 'Div' },
  { rank: 3, scaling: 'Div' },
])('attention gives what it gave: %o', async (form) => {
  const file = attention(form)
  for (const rows of form.rank === 4 ? [1, 3] : [1])
    expect(distance(await run(fused(file), rows), await run(file, rows))).toBeLessThan(1e-5)
})

test('what is masked, or seen from elsewhere, is left alone', () => {
  expect(fuseAttention(attention({ rank: 4, hasMask: true }))).toBeNull()
  expect(fuseAttention(attention({ rank: 4, isShown: true }))).toBeNull()
})

test('so is a file without attention or without a graph', () => {
  expect(fuseAttention(readFileSync(join(DEMO, 'decoder_model_merged.onnx')))).toBeNull()
  expect(fuseAttention(new Uint8Array())).toBeNull()
})
