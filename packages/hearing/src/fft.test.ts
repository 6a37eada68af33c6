import { expect, test } from 'vitest'
import { planFft } from './fft.ts'

/** The definition, term by term. */
function slowTransform(re: Float64Array, im: Float64Array): number[] {
  return Array.from(re, (_, k) => {
    let [sumRe, sumIm] = [0, 0]
    for (const [n, x] of re.entries()) {
      const angle = (-2 * Math.PI * n * k) / re.length
      sumRe += x * Math.cos(angle) - (im[n] ?? 0) * Math.sin(angle)
      sumIm += x * Math.sin(angle) + (im[n] ?? 0) * Math.cos(angle)
    }
    return [sumRe, sumIm]
  }).flat()
}

for (const length of [4, 5, 20, 25, 64, 100, 400])
  test(`a transform of ${length} points is the Fourier sum, also the second time`, () => {
    const transform = planFft(length)
    for (const seed of [1, 2]) {
      const re = Float64Array.from({ length }, (_, n) => Math.sin(seed + n * n))
      const im = Float64Array.from({ length }, (_, n) => Math.cos(seed * 3 + n * n * 0.7))
      const expected = slowTransform(re, im)
      transform(re, im)
      const got = Array.from(re, (x, k) => [x, im[k] ?? NaN]).flat()
      const worst = Math.max(...got.map((x, at) => Math.abs(x - (expected[at] ?? NaN))))
      expect(worst).toBeLessThan(1e-9)
    }
  })

test('a length that is not made of 4s and 5s is refused', () => {
  expect(() => planFft(402)).toThrow('expected a length made of 4s and 5s, got 402')
})
