import { expect, test } from 'vitest'
import { checkDimensions, shortened } from './dimensions.ts'
import type { Tokenizer } from './tokenizer.ts'

const modelWith = (shorterSizes: Tokenizer['shorterSizes']): Tokenizer => ({
  encode: () => new Int32Array(),
  maxTokens: 16,
  dimensions: 8,
  shorterSizes,
  vocabularySize: 10,
})

test("a model's own size is always allowed, another one only where its vectors may be cut", () => {
  for (const sizes of [[], [2, 4], 'any'] as const) checkDimensions(8, modelWith(sizes))
  checkDimensions(4, modelWith([2, 4]))
  checkDimensions(3, modelWith('any'))
  expect(() => checkDimensions(4, modelWith([]))).toThrow('expected 8, the size')
  expect(() => checkDimensions(3, modelWith([4, 2]))).toThrow('expected 2, 4, 8')
  expect(() => checkDimensions(9, modelWith('any'))).toThrow('expected at most 8')
})

test('a vector that is cut has length 1 again', () => {
  const [x, y, ...none] = shortened(Float32Array.of(0.3, 0.4, 0.8), 2)
  expect([x, y, none]).toEqual([expect.closeTo(0.6, 6), expect.closeTo(0.8, 6), []])
  expect(shortened(Float32Array.of(0, 0, 1), 2)).toEqual(Float32Array.of(0, 0))
  const whole = Float32Array.of(1, 0)
  expect(shortened(whole, undefined)).toBe(whole)
})
