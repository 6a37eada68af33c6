/**
 * The low-pass filter of a change of sample rate, for whole sounds (audio.ts) and for sound that is still coming (audio-stream.ts):
 * what the lower rate can't hold is removed, not folded back. It imports nothing, so that a browser can load it as it is.
 */

/** Of the sinc on each side of its centre: more is a steeper filter and more work. */
const ZERO_CROSSINGS = 32
const STOP_BAND_DB = 80
/** Kaiser's formulas: the window's shape for that attenuation, and the width of its transition in cycles per sample. */
const KAISER_BETA = 0.1102 * (STOP_BAND_DB - 8.7)
const transitionOf = (zeroCrossings: number): number => (STOP_BAND_DB - 7.95) / (14.36 * 2 * zeroCrossings)
/** Above this many coefficients the exact phases give way to `BLEND_STEPS` per zero crossing, blended (error below -110 dB). */
const MAX_COEFFICIENTS = 65_536
const BLEND_STEPS = 512
/** One kernel of `taps` coefficients for each of `phases` positions between two input samples, and one more to blend with. */
export type Kernel = {
  readonly taps: number
  readonly phases: number
  readonly isExact: boolean
  readonly coefficients: Float32Array
}

/** Output samples for input samples, in lowest terms. */
export type Ratio = { readonly up: number; readonly down: number }

export function resamplingRatio(fromRateHz: number, toRateHz: number): Ratio {
  const divisor = greatestCommonDivisor(fromRateHz, toRateHz)
  return { up: toRateHz / divisor, down: fromRateHz / divisor }
}

type Part = { readonly output: Float32Array; readonly from: number; readonly to: number }

/** Fills a part of the output by resampling. Output n lies at n * down / up input samples: a whole number of them, and a fraction that chooses the phase. */
export function filter(samples: Float32Array, { up, down }: Ratio, kernel: Kernel, { output, from, to }: Part): void {
  const { taps, phases, isExact, coefficients } = kernel
  for (let n = from; n < to; n++) {
    const position = n * down
    const whole = Math.floor(position / up)
    const phase = ((position - whole * up) * phases) / up
    const row = Math.floor(phase)
    const first = whole - taps / 2 + 1
    const here = dot(samples, first, coefficients, row * taps, taps)
    const blend = phase - row
    output[n] = isExact ? here : here + blend * (dot(samples, first, coefficients, (row + 1) * taps, taps) - here)
  }
}

/** The sum of `taps` products; two sums because one would wait for its own last addition. */
function dot(samples: Float32Array, first: number, coefficients: Float32Array, offset: number, taps: number): number {
  const shift = offset - first
  const end = Math.min(samples.length, first + taps)
  let i = Math.max(0, first)
  let even = 0
  let odd = 0
  for (; i + 1 < end; i += 2) {
    even += (samples[i] ?? 0) * (coefficients[i + shift] ?? 0)
    odd += (samples[i + 1] ?? 0) * (coefficients[i + 1 + shift] ?? 0)
  }
  return even + odd + (i < end ? (samples[i] ?? 0) * (coefficients[i + shift] ?? 0) : 0)
}

/** A sinc under a Kaiser window whose stop band begins at the lower rate's Nyquist frequency; each row sums to 1. */
export function buildKernel({ up, down }: Ratio, zeroCrossings = ZERO_CROSSINGS): Kernel {
  const lowerRate = Math.min(1, up / down) // in cycles per input sample, as is the cut-off
  const cutoff = lowerRate * (0.5 - transitionOf(zeroCrossings) / 2)
  const halfWidth = zeroCrossings / lowerRate
  const taps = 2 * Math.ceil(halfWidth)
  const isExact = up * taps <= MAX_COEFFICIENTS
  const phases = isExact ? up : Math.ceil(BLEND_STEPS * lowerRate)
  const rows = isExact ? phases : phases + 1
  const coefficients = new Float32Array(rows * taps)
  for (let row = 0; row < rows; row++) {
    const weights = coefficients.subarray(row * taps, (row + 1) * taps)
    for (let tap = 0; tap < taps; tap++) {
      const distance = tap - taps / 2 + 1 - row / phases
      weights[tap] = sinc(2 * cutoff * distance) * kaiser(distance / halfWidth)
    }
    scaleToOne(weights)
  }
  return { taps, phases, isExact, coefficients }
}

function scaleToOne(weights: Float32Array): void {
  const sum = weights.reduce((total, weight) => total + weight, 0)
  for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] ?? 0) / sum
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** The Kaiser window, not yet scaled: its argument runs from -1 to 1, outside it is 0. */
const kaiser = (x: number): number => (Math.abs(x) > 1 ? 0 : besselI0(KAISER_BETA * Math.sqrt(1 - x * x)))

/** The modified Bessel function of order zero, by its power series. */
function besselI0(x: number): number {
  const quarter = (x * x) / 4
  let term = 1
  let sum = 1
  for (let k = 1; term > sum * 1e-9; k++) {
    term *= quarter / (k * k)
    sum += term
  }
  return sum
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
