import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { outputNames } from './graph-outputs.ts'

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
const head = (number: number, length: number): number[] => [...varint(number * 8 + 2), ...varint(length)]
const field = (number: number, bytes: number[]): number[] => [...head(number, bytes.length), ...bytes]
const text = (value: string): number[] => [...Buffer.from(value)]
const output = (name: string): number[] => field(12, field(1, text(name)))

/** A file of these bytes. */
function written(bytes: number[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'model.onnx')
  writeFileSync(path, Uint8Array.from(bytes))
  return path
}

const NODES = Array.from({ length: 500 }, () => field(1, field(4, text('MatMul')))).flat()
const IR_VERSION = [1 * 8, 8]

test('a graph gives the names of its outputs, whatever lies before, between and behind them', async () => {
  const long = 'x'.repeat(5000)
  const graph = [...NODES, ...output('logits'), ...field(5, text('weights')), ...output(long)]
  const path = written([...IR_VERSION, ...field(7, graph), ...field(8, [16, 17])])
  expect(await outputNames(path)).toEqual(['logits', long])
})

test('weights are passed over, however large', async () => {
  const weights = 6 * 2 ** 30
  const before = [...NODES, ...head(5, weights)]
  const behind = output('logits')
  const graph = head(7, before.length + weights + behind.length)
  const path = written([...IR_VERSION, ...graph, ...before])
  const file = openSync(path, 'r+')
  // What is not written takes no place.
  writeSync(file, Uint8Array.from(behind), 0, behind.length, IR_VERSION.length + graph.length + before.length + weights)
  closeSync(file)
  expect(await outputNames(path)).toEqual(['logits'])
})

test('what is damaged has the names before the damage, or none', async () => {
  const whole = [...IR_VERSION, ...field(7, [...output('logits'), ...NODES])]
  expect(await outputNames(written(whole.slice(0, 40)))).toEqual([])
  expect(await outputNames(written(text('not a graph at all')))).toEqual([])
  expect(await outputNames(written([]))).toEqual([])
  await expect(outputNames(join(tmpdir(), 'no-such-file'))).rejects.toThrow('ENOENT')
})
