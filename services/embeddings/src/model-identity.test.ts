import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { identify } from './model-identity.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hearth-weights-'))
})
afterEach(() => rmSync(dir, { recursive: true }))
const weights = (content: string) => writeFileSync(join(dir, 'w.onnx'), content)
const revisionOf = async (revision: string | null, dtype = 'fp32') =>
  (await identify({ dir, revision }, 'w.onnx', dtype)).revision

test('files of the hub are known by their commit, others by what they hold; and both by their precision', async () => {
  weights('a'.repeat(200_000))
  expect(await revisionOf('0123456789abcdef')).toBe('0123456789ab-fp32')
  const first = await revisionOf(null)
  expect(await revisionOf(null)).toBe(first)
  expect(await revisionOf(null, 'q8')).not.toBe(first)
  weights(`${'a'.repeat(199_999)}b`)
  expect(await revisionOf(null)).not.toBe(first)
})

test('the size of the weights is told, and missing weights are an error', async () => {
  weights('abc')
  expect(await identify({ dir, revision: null }, 'w.onnx', 'fp32')).toMatchObject({ sizeBytes: 3 })
  await expect(identify({ dir, revision: null }, 'none.onnx', 'fp32')).rejects.toThrow('ENOENT')
})
