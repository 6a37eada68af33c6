/** Vectors of a size that the caller asks for. Only some models put what matters first; of all others a shorter vector is a worse one. */
import { AppError } from '@hearth/shared/errors'
import type { Tokenizer } from './tokenizer.ts'

/** Throws `invalid_request` unless the model has vectors of that size. */
export function checkDimensions(wanted: number | undefined, { dimensions, shorterSizes }: Tokenizer): void {
  if (wanted === undefined || wanted === dimensions) return
  if (shorterSizes === 'any' ? wanted < dimensions : shorterSizes.includes(wanted)) return
  const expected =
    shorterSizes === 'any'
      ? `at most ${dimensions}`
      : [...shorterSizes, dimensions].toSorted((a, b) => a - b).join(', ')
  const what = shorterSizes.length === 0 ? "the size of this model's vectors" : 'sizes that this model was trained for'
  throw new AppError('invalid_request', `dimensions: expected ${expected}, ${what}, got ${wanted}`, {
    param: 'dimensions',
  })
}

/** The first `size` numbers, at length 1 again. */
export function shortened(vector: Float32Array, size: number | undefined): Float32Array {
  if (size === undefined || size >= vector.length) return vector
  const cut = vector.slice(0, size)
  const norm = Math.hypot(...cut)
  return norm === 0 ? cut : cut.map((value) => value / norm)
}
