/** Sound that comes in pieces, at another rate: the same samples that `resample` gives of the whole, a few milliseconds later. A browser can load it as it is. */
import { buildKernel, filter, resamplingRatio } from './resample-kernel.ts'
import type { Kernel, Ratio } from './resample-kernel.ts'

export class StreamResampler {
  readonly #ratio: Ratio
  readonly #kernel: Kernel
  /** Input that outputs to come still look at. It begins at `#base`, a whole number of `down` samples. */
  #tail: Float32Array = new Float32Array(0)
  #base = 0
  #next = 0

  /** Rates are whole numbers; fewer `zeroCrossings` than a recording deserves take the highest tones with them, and as much less work. */
  constructor(fromRateHz: number, toRateHz: number, zeroCrossings?: number) {
    this.#ratio = resamplingRatio(fromRateHz, toRateHz)
    this.#kernel = buildKernel(this.#ratio, zeroCrossings)
  }

  /** The next samples in; those out that are certain by now. */
  push(samples: Float32Array): Float32Array {
    const { up, down } = this.#ratio
    if (up === down) return samples
    const input = new Float32Array(this.#tail.length + samples.length)
    input.set(this.#tail)
    input.set(samples, this.#tail.length)
    const reach = this.#kernel.taps / 2
    // Output n looks at the input from n * down / up - reach to + reach.
    const certain = Math.ceil(((this.#base + input.length - reach) * up) / down)
    const shift = (this.#base / down) * up
    const [from, to] = [this.#next - shift, Math.max(this.#next, certain) - shift]
    const output = new Float32Array(to)
    filter(input, this.#ratio, this.#kernel, { output, from, to })
    this.#next = to + shift
    this.#keepTail(input, reach)
    return output.subarray(from)
  }

  #keepTail(input: Float32Array, reach: number): void {
    const { up, down } = this.#ratio
    const needed = Math.floor((this.#next * down) / up) - reach
    const base = Math.max(this.#base, Math.floor(needed / down) * down)
    this.#tail = input.slice(base - this.#base)
    this.#base = base
  }
}
