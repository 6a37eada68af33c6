/** Arithmetic over one row of logits: the numbers that decide which token comes next. */

export function indexOfLargest(values: Float32Array): number {
  let best = 0
  let largest = -Infinity
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? -Infinity
    if (value <= largest) continue
    largest = value
    best = at
  }
  return best
}

/** What is smaller than the largest by this much does not show in a float. */
const NEGLIGIBLE = 25

/** -Infinity when nothing is allowed. */
export function logSumExp(values: Float32Array): number {
  const largest = values[indexOfLargest(values)] ?? -Infinity
  if (largest === -Infinity) return largest
  const least = largest - NEGLIGIBLE
  let sum = 0
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? -Infinity
    if (value > least) sum += Math.exp(value - largest)
  }
  return largest + Math.log(sum)
}

/** Numbers from 0 to 1 that look like chance and are the same each time (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** An index drawn with the probabilities of softmax(values / temperature). */
export function draw(values: Float32Array, temperature: number, random: () => number): number {
  const largest = values[indexOfLargest(values)] ?? 0
  const weights = values.map((value) => Math.exp((value - largest) / temperature))
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0)
  for (let at = 0; at < weights.length; at++) {
    left -= weights[at] ?? 0
    if (left < 0) return at
  }
  return indexOfLargest(values)
}
