import { randomEncoder } from '@hearth/models/random-whisper'
import { expect, test } from 'vitest'
import { openWindow } from './open-window.ts'
import { distance, runEncoder } from './testing/encoder-runs.ts'

const SHAPE = { width: 32, layers: 1, heads: 2 }

test('an encoder that always heard 30 s hears less, and 30 s as before', async () => {
  const fixed = randomEncoder(SHAPE, false)
  const patched = openWindow(fixed)
  if (!patched) throw new Error('expected a patched file')
  await expect(runEncoder(fixed, 400)).rejects.toThrow(/broadcast/u)
  expect(distance(await runEncoder(patched, 3000), await runEncoder(fixed, 3000))).toBeLessThan(1e-4)
  // The same weights in an export that was made to fit.
  const short = await runEncoder(patched, 400)
  expect(short).toHaveLength(200 * SHAPE.width)
  expect(distance(short, await runEncoder(randomEncoder(SHAPE, true), 400))).toBeLessThan(1e-4)
})

test('a file without such a table is left alone, and one that breaks off is told', () => {
  expect(openWindow(randomEncoder(SHAPE, true))).toBeNull()
  expect(openWindow(new Uint8Array())).toBeNull()
  expect(() => openWindow(randomEncoder(SHAPE, false).subarray(0, 5000))).toThrow('breaks off')
})
