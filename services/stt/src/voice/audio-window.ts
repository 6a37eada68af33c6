/** The latest stretch of an endless sound, in one buffer that is used over and over. Positions count from the beginning of the sound. */
export class AudioWindow {
  #samples = new Float32Array(65_536)
  #from = 0
  #count = 0

  /** Memory that it takes, filled or not. */
  get bytes(): number {
    return this.#samples.byteLength
  }

  get end(): number {
    return this.#from + this.#count
  }

  append(samples: Float32Array): void {
    if (this.#count + samples.length > this.#samples.length) {
      const larger = new Float32Array(2 * (this.#count + samples.length))
      larger.set(this.#samples.subarray(0, this.#count))
      this.#samples = larger
    }
    this.#samples.set(samples, this.#count)
    this.#count += samples.length
  }

  /** A copy; what was dropped or has not come is left out. */
  slice(from: number, to: number): Float32Array<ArrayBuffer> {
    return this.#samples.slice(Math.max(0, from - this.#from), Math.max(0, Math.min(this.end, to) - this.#from))
  }

  dropBefore(position: number): void {
    const gone = Math.min(this.#count, position - this.#from)
    if (gone <= 0) return
    this.#samples.copyWithin(0, gone, this.#count)
    this.#from += gone
    this.#count -= gone
  }
}
