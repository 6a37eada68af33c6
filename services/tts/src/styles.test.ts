import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Styles, STYLE_WIDTH } from './styles.ts'

const ROWS = 510
const dir = mkdtempSync(join(tmpdir(), 'styles-'))
mkdirSync(join(dir, 'voices'))
afterAll(() => rmSync(dir, { recursive: true }))

/** Each row holds its number times `factor`. */
function writeVoice(voice: string, factor: number): void {
  const table = Float32Array.from({ length: ROWS * STYLE_WIDTH }, (_, i) => factor * Math.floor(i / STYLE_WIDTH))
  writeFileSync(join(dir, 'voices', `${voice}.bin`), table)
}
writeVoice('af_one', 1)
writeVoice('af_five', 5)
writeFileSync(join(dir, 'voices', 'af_short.bin'), new Uint8Array(12))

const styles = new Styles(dir)

test('the row follows the number of tokens, up to the last one', () => {
  const rowOf = (tokens: number) => styles.row([{ voice: 'af_one', share: 1 }], tokens)[7]
  expect([rowOf(0), rowOf(12), rowOf(509), rowOf(600)]).toEqual([0, 12, 509, 509])
})

test('a mix is the weighted mean of its voices', () => {
  const mix = [
    { voice: 'af_one', share: 0.75 },
    { voice: 'af_five', share: 0.25 },
  ]
  expect(styles.row(mix, 10)).toEqual(new Float32Array(STYLE_WIDTH).fill(20))
})

test('the caller may do as it likes with a row', () => {
  const mix = [{ voice: 'af_one', share: 1 }]
  styles.row(mix, 3).fill(9)
  expect(styles.row(mix, 3)[0]).toBe(3)
})

test('a file of another size is no voice', () => {
  expect(() => styles.row([{ voice: 'af_short', share: 1 }], 3)).toThrow(
    'expected a voice file of 522240 bytes, got 12',
  )
})
