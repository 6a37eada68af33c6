/**
 * A change of sample rate for sound that is still coming. Pieces of any length go in, and what comes out is the same as for the whole: the
 * filter's last input samples are kept for the next piece. The sound is delayed by half the filter, less than 1.5 ms.
 */
import { buildKernel, resamplingRatio } from '@hearth/shared/resample-kernel'
import type { Kernel, Ratio } from '@hearth/shared/resample-kernel'

export class StreamResampler {
  readonly #ratio: Ratio
  readonly #kernel: Kernel
  /** Input that later outputs still need; before the first sample is silence. */
  #held: Float32Array
  /** Of the next output, in input samples from the beginning of `#held`, times `ratio.up`. */
  #position = 0

  constructor(fromRateHz: number, toRateHz: number) {
    this.#ratio = resamplingRatio(fromRateHz, toRateHz)
    this.#kernel = buildKernel(this.#ratio)
    this.#held = new Float32Array(this.#kernel.taps - 1)
  }

  /** All output samples whose input is complete now. */
  push(samples: Float32Array): Float32Array<ArrayBuffer> {
    const { up, down } = this.#ratio
    const { taps } = this.#kernel
    const input = joined(this.#held, samples)
    const ends = (input.length - taps + 1) * up
    const output = new Float32Array(Math.max(0, Math.ceil((ends - this.#position) / down)))
    for (let n = 0; n < output.length; n++) output[n] = this.#sampleAt(input, this.#position + n * down)
    const next = this.#position + output.length * down
    const used = Math.min(Math.floor(next / up), input.length)
    this.#held = input.slice(used)
    this.#position = next - used * up
    return output
  }

  #sampleAt(input: Float32Array, position: number): number {
    const { taps, phases, coefficients } = this.#kernel
    const whole = Math.floor(position / this.#ratio.up)
    const phase = ((position - whole * this.#ratio.up) * phases) / this.#ratio.up
    const row = Math.floor(phase) * taps
    let sum = 0
    for (let tap = 0; tap < taps; tap++) sum += (input[whole + tap] ?? 0) * (coefficients[row + tap] ?? 0)
    return sum
  }
}

function joined(first: Float32Array, second: Float32Array): Float32Array {
  const both = new Float32Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}
