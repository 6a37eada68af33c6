/**
 * An index of vectors, in memory: of each number only its sign is kept, so a vector of 384 numbers is twelve words and comparing two takes
 * twelve exclusive-ors. A hundred thousand are looked through in a few milliseconds; the nearest are then compared exactly, by whoever has the
 * vectors.
 */

const BITS = 32

/** The signs of a vector's numbers as bits; one word for each 32. */
export function codeOf(vector: Float32Array): Uint32Array {
  const code = new Uint32Array(Math.ceil(vector.length / BITS))
  for (const [at, value] of vector.entries()) if (value > 0) code[at >>> 5] = (code[at >>> 5] ?? 0) | (1 << (at & 31))
  return code
}

const FIRST_ROOM = 64

export class CodeIndex {
  readonly #words: number
  #codes: Uint32Array
  #keys: Float64Array
  #size = 0
  readonly #places = new Map<number, number>()

  /** `words`: of one code. */
  constructor(words: number) {
    this.#words = words
    this.#codes = new Uint32Array(words * FIRST_ROOM)
    this.#keys = new Float64Array(FIRST_ROOM)
  }

  get size(): number {
    return this.#size
  }

  /** Adds a code, or replaces that of the same key. Codes of another length are left out. */
  set(key: number, code: Uint32Array): void {
    if (code.length !== this.#words) return
    const place = this.#places.get(key) ?? this.#add(key)
    this.#codes.set(code, place * this.#words)
  }

  delete(key: number): void {
    const place = this.#places.get(key)
    if (place === undefined) return
    const last = --this.#size
    const moved = this.#keys[last] ?? 0
    this.#codes.copyWithin(place * this.#words, last * this.#words, (last + 1) * this.#words)
    this.#keys[place] = moved
    this.#places.set(moved, place)
    this.#places.delete(key)
  }

  /** Keys of the codes that differ in the fewest bits, at most `count`, in no order. */
  nearest(code: Uint32Array, count: number): number[] {
    if (code.length !== this.#words) return []
    const distances = new Uint16Array(this.#size)
    const histogram = new Uint32Array(this.#words * BITS + 1)
    const [codes, words] = [this.#codes, this.#words]
    for (let place = 0, from = 0; place < this.#size; place++, from += words) {
      let different = 0
      for (let word = 0; word < words; word++) different += bitCount((codes[from + word] ?? 0) ^ (code[word] ?? 0))
      distances[place] = different
      histogram[different] = (histogram[different] ?? 0) + 1
    }
    return this.#within(distances, histogram, count)
  }

  /** The places up to the distance at which `count` is reached; of those at that distance only as many as are needed. */
  #within(distances: Uint16Array, histogram: Uint32Array, count: number): number[] {
    let farthest = 0
    let nearer = 0
    while (farthest < histogram.length - 1 && nearer + (histogram[farthest] ?? 0) < count)
      nearer += histogram[farthest++] ?? 0
    let onEdge = count - nearer
    const keys: number[] = []
    for (const [place, distance] of distances.entries())
      if (distance < farthest || (distance === farthest && onEdge-- > 0)) keys.push(this.#keys[place] ?? 0)
    return keys
  }

  #add(key: number): number {
    if (this.#size === this.#keys.length) {
      const [codes, keys] = [new Uint32Array(this.#codes.length * 2), new Float64Array(this.#size * 2)]
      codes.set(this.#codes)
      keys.set(this.#keys)
      this.#codes = codes
      this.#keys = keys
    }
    this.#keys[this.#size] = key
    this.#places.set(key, this.#size)
    return this.#size++
  }
}

/** How many bits are one: pairs, then fours, then bytes are added up side by side. */
function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555)
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333)
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}
