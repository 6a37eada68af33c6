/** The last seconds of an endless sound, in a ring that is allocated once. */
export class RecentSound {
  readonly #ring: Float32Array
  #count = 0

  constructor(length: number) {
    this.#ring = new Float32Array(length)
  }

  append(samples: Float32Array): void {
    const { length } = this.#ring
    const kept = samples.subarray(Math.max(0, samples.length - length))
    const at = (this.#count + samples.length - kept.length) % length
    const tail = Math.min(kept.length, length - at)
    this.#ring.set(kept.subarray(0, tail), at)
    this.#ring.set(kept.subarray(tail), 0)
    this.#count += samples.length
  }

  /** A copy of the last samples, as many of them as there are. */
  last(count: number): Float32Array<ArrayBuffer> {
    const { length } = this.#ring
    const known = Math.min(count, this.#count, length)
    const from = (this.#count - known) % length
    const out = new Float32Array(known)
    const tail = Math.min(known, length - from)
    out.set(this.#ring.subarray(from, from + tail))
    out.set(this.#ring.subarray(0, known - tail), tail)
    return out
  }
}
