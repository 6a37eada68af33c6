import { expect, test } from 'vitest'
import { meanPool } from './pooling.ts'

test('a row is the mean of its own tokens, without the padding, at length 1', () => {
  // Two rows of three tokens of two numbers; the second row has one token, the rest is padding.
  const states = Float32Array.from([3, 0, 0, 4, 0, 0, 0, 2, 9, 9, 9, 9])
  const [first, second] = meanPool(states, [3, 1])
  expect(Array.from(first ?? [])).toEqual([expect.closeTo(0.6, 6), expect.closeTo(0.8, 6)])
  expect(Array.from(second ?? [])).toEqual([0, 1])
})

test('a mean of zero stays zero, and numbers that are none are an error', () => {
  expect(meanPool(Float32Array.from([1, -1, -1, 1]), [2])).toEqual([new Float32Array(2)])
  expect(() => meanPool(Float32Array.from([NaN, 1]), [1])).toThrow('no numbers')
})
