import { expect, test } from 'vitest'
import { paddedTokens, padRows } from './padding.ts'

test('shorter rows are padded to the longest, and the padding is masked', () => {
  expect(padRows([Int32Array.of(5, 6), Int32Array.of(7, 8, 9), Int32Array.of(4)])).toEqual({
    longest: 3,
    ids: BigInt64Array.of(5n, 6n, 0n, 7n, 8n, 9n, 4n, 0n, 0n),
    mask: BigInt64Array.of(1n, 1n, 0n, 1n, 1n, 1n, 1n, 0n, 0n),
  })
})

test('the cost of a batch is its tokens with the padding', () => {
  expect(paddedTokens([new Int32Array(3), new Int32Array(10)])).toBe(20)
})
