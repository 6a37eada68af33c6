import { expect, test } from 'vitest'
import { CodeIndex, codeOf } from './memory-codes.ts'

/** The same numbers in every run. */
function randomVectors(count: number, size: number): Float32Array[] {
  let state = 7
  const next = () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31 - 0.5
  return Array.from({ length: count }, () => Float32Array.from({ length: size }, next))
}
const different = (a: Float32Array, b: Float32Array) => a.filter((value, at) => value > 0 !== (b[at] ?? 0) > 0).length

test('the nearest are those whose signs differ least, found as by comparing all', () => {
  const vectors = randomVectors(500, 70)
  const index = new CodeIndex(3)
  for (const [key, vector] of vectors.entries()) index.set(key + 1000, codeOf(vector))
  const [question = new Float32Array()] = randomVectors(501, 70).slice(-1)
  const distances = vectors.map((vector) => different(vector, question)).toSorted((a, b) => a - b)
  const found = index.nearest(codeOf(question), 25).map((key) => different(vectors[key - 1000] ?? question, question))
  expect(found.toSorted((a, b) => a - b)).toEqual(distances.slice(0, 25))
})

test('fewer than asked for are all given, and an empty index gives none', () => {
  const index = new CodeIndex(1)
  expect(index.nearest(Uint32Array.of(0), 5)).toEqual([])
  index.set(7, Uint32Array.of(5))
  expect(index.nearest(Uint32Array.of(0), 5)).toEqual([7])
})

test('a key is replaced, and one that was deleted is never found again', () => {
  const index = new CodeIndex(1)
  for (const key of [1, 2, 3]) index.set(key, Uint32Array.of(2 ** key - 1))
  index.set(2, Uint32Array.of(0xffff_ffff))
  expect([index.size, index.nearest(Uint32Array.of(0xffff_ffff), 1)]).toEqual([3, [2]])
  index.delete(1)
  index.delete(1)
  expect([index.size, index.nearest(Uint32Array.of(0), 5).toSorted((a, b) => a - b)]).toEqual([2, [2, 3]])
  expect(index.nearest(Uint32Array.of(7), 1)).toEqual([3])
})

test('a code of another length is neither kept nor looked for', () => {
  const index = new CodeIndex(2)
  index.set(1, Uint32Array.of(1))
  expect(index.size).toBe(0)
  index.set(1, Uint32Array.of(1, 1))
  expect(index.nearest(Uint32Array.of(1), 1)).toEqual([])
})
