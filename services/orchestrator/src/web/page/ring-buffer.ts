/**
 * Sound that waits to be played: written by the page, read by the thread that plays, in a ring that grows when a reply comes faster than it
 * is heard. What is missing is silence.
 */
export class RingBuffer {
  #samples: Float32Array
  #start = 0
  #length = 0

  constructor(capacity: number) {
    this.#samples = new Float32Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  write(samples: Float32Array): void {
    if (this.#length + samples.length > this.#samples.length) this.#grow(this.#length + samples.length)
    const end = (this.#start + this.#length) % this.#samples.length
    const first = samples.subarray(0, this.#samples.length - end)
    this.#samples.set(first, end)
    this.#samples.set(samples.subarray(first.length), 0)
    this.#length += samples.length
  }

  /** Fills `output` and gives how many of its samples are sound. */
  read(output: Float32Array): number {
    const count = Math.min(output.length, this.#length)
    const first = this.#samples.subarray(this.#start, this.#start + count)
    output.set(first)
    output.set(this.#samples.subarray(0, count - first.length), first.length)
    output.fill(0, count)
    this.#start = (this.#start + count) % this.#samples.length
    this.#length -= count
    return count
  }

  /** Drops everything but the next `fadeSamples`, which fall to silence: an end without a click. */
  cut(fadeSamples: number): void {
    this.#length = Math.min(this.#length, fadeSamples)
    for (let at = 0; at < this.#length; at++) {
      const place = (this.#start + at) % this.#samples.length
      this.#samples[place] = (this.#samples[place] ?? 0) * (1 - (at + 1) / this.#length)
    }
  }

  #grow(needed: number): void {
    const larger = new Float32Array(Math.max(needed, this.#samples.length * 2))
    const length = this.#length
    this.read(larger.subarray(0, length))
    this.#samples = larger
    this.#start = 0
    this.#length = length
  }
}
