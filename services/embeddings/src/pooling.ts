/** From one vector per token to one unit vector per text. */

/**
 * The mean over each row's own tokens, at length 1. `states` is [rows, longest, size]; `lengths` are the rows' tokens, the rest of
 * a row is padding. Throws when a mean is no number: such a vector would spoil every search it is stored for.
 */
export function meanPool(states: Float32Array, lengths: readonly number[]): Float32Array[] {
  const longest = Math.max(...lengths)
  const size = states.length / lengths.length / longest
  return lengths.map((length, row) => {
    const mean = new Float64Array(size)
    const from = row * longest * size
    for (let token = 0; token < length; token++)
      for (let at = 0; at < size; at++) mean[at] = (mean[at] ?? 0) + (states[from + token * size + at] ?? 0)
    const norm = Math.sqrt(mean.reduce((sum, x) => sum + x * x, 0))
    if (!Number.isFinite(norm)) throw new Error('the model gave vectors that are no numbers')
    return Float32Array.from(mean, (x) => (norm === 0 ? 0 : x / norm))
  })
}
