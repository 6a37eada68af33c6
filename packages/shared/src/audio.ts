/**
 * Sound inside Hearth has one form: mono samples in [-1, 1] and their rate. Everything else (PCM bytes, WAV, channels)
 * exists only at borders. Resampling is a low-pass filter first: what the lower rate can't hold is removed, not folded back.
 */
import { AppError } from './errors.ts'
import { eventLoopTurns } from './waits.ts'

export type Audio = { readonly samples: Float32Array; readonly sampleRateHz: number }

/** Rates that Hearth takes: from coarse telephony to the highest studio rate. */
const MIN_SAMPLE_RATE_HZ = 4000
const MAX_SAMPLE_RATE_HZ = 384_000

/** Zero crossings of the sinc on each side of its centre: more is a steeper filter and more work. */
const ZERO_CROSSINGS = 32
const STOP_BAND_DB = 80
/** Kaiser's formulas: the window's shape for that attenuation, and the width of its transition in cycles per sample. */
const KAISER_BETA = 0.1102 * (STOP_BAND_DB - 8.7)
const TRANSITION = (STOP_BAND_DB - 7.95) / (14.36 * 2 * ZERO_CROSSINGS)
/** Above this many coefficients the exact phases give way to `BLEND_STEPS` per zero crossing, blended (error below -110 dB). */
const MAX_COEFFICIENTS = 65_536
const BLEND_STEPS = 512
/** Output samples of one step: less than a millisecond of work for the usual rates. */
const STEP_SAMPLES = 1024

/** A low-pass filter for one ratio of rates: one kernel of `taps` coefficients for each of `phases` positions between two input samples, and one more to blend with. */
export type Kernel = {
  readonly taps: number
  readonly phases: number
  readonly isExact: boolean
  readonly coefficients: Float32Array
}

export const durationSeconds = (audio: Audio): number => audio.samples.length / audio.sampleRateHz

/** Throws `unsupported_sample_rate` unless the rate is a whole number that Hearth takes. */
export function checkSampleRate(rateHz: number): void {
  if (Number.isInteger(rateHz) && rateHz >= MIN_SAMPLE_RATE_HZ && rateHz <= MAX_SAMPLE_RATE_HZ) return
  const expected = `a whole number from ${MIN_SAMPLE_RATE_HZ} to ${MAX_SAMPLE_RATE_HZ} Hz`
  throw new AppError('unsupported_sample_rate', `expected a sample rate that is ${expected}, got ${rateHz}`)
}

/**
 * The same sound at another rate: ceil(n * to / from) samples, linear phase without delay, gain 1, aliases below -60 dB.
 * Outside the input is silence. The same rate gives the same samples. Throws `unsupported_sample_rate`.
 */
export function resample(audio: Audio, toRateHz: number): Audio {
  const steps = resampling(audio, toRateHz)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** `resample` for the thread that serves: ten minutes of sound take a second, in which the event loop turns. Rejects with the signal's reason. */
export async function resampleInTurns(audio: Audio, toRateHz: number, signal: AbortSignal): Promise<Audio> {
  const turn = eventLoopTurns(signal)
  const steps = resampling(audio, toRateHz)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    await turn()
  }
}

function* resampling(audio: Audio, toRateHz: number): Generator<void, Audio> {
  const { samples, sampleRateHz } = audio
  checkSampleRate(sampleRateHz)
  checkSampleRate(toRateHz)
  if (sampleRateHz === toRateHz) return audio
  const divisor = greatestCommonDivisor(sampleRateHz, toRateHz)
  const up = toRateHz / divisor
  const down = sampleRateHz / divisor
  const kernel = buildKernel(up, down)
  const output = new Float32Array(Math.ceil((samples.length * up) / down))
  for (let from = 0; from < output.length; from += STEP_SAMPLES) {
    filter(samples, { up, down }, kernel, { output, from, to: Math.min(output.length, from + STEP_SAMPLES) })
    yield
  }
  return { samples: output, sampleRateHz: toRateHz }
}

export type Ratio = { readonly up: number; readonly down: number }
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
export function buildKernel(up: number, down: number): Kernel {
  const lowerRate = Math.min(1, up / down) // in cycles per input sample, as is the cut-off
  const cutoff = lowerRate * (0.5 - TRANSITION / 2)
  const halfWidth = ZERO_CROSSINGS / lowerRate
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

export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** Samples as signed 16-bit little-endian bytes: rounded, clipped, and silence where a sample is no number. */
export function pcm16(samples: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(samples.length * 2)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < samples.length; i++) {
    const scaled = Math.round((samples[i] ?? 0) * 32_768)
    view.setInt16(i * 2, Math.max(-32_768, Math.min(32_767, scaled)), true)
  }
  return bytes
}

/** Signed 16-bit little-endian mono bytes as samples; half a sample at the end is dropped. */
export function fromPcm16(bytes: Uint8Array, sampleRateHz: number): Audio {
  const samples = new Float32Array(bytes.length >> 1)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(i * 2, true) / 32_768
  return { samples, sampleRateHz }
}

/** The parts one after the other, in an array of their own. */
export function concat(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const joined = new Float32Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

/** Energy ratios. A channel quieter than the loudest by this much (40 dB) says nothing of its own. */
const SILENT = 1e-4
/** A mean quieter than the loudest channel by this much (7 dB; two equal voices lose 3, one voice on two channels 6) lost what was said. */
const CANCELLED = 0.2

/**
 * One channel out of several of equal length: the mean of those that are not silent, unless they cancel each other (opposite
 * phase, one voice among many noisy channels): then the loudest alone.
 */
export function mixToMono(channels: readonly Float32Array[]): Float32Array {
  const [first = new Float32Array(0), ...others] = channels
  if (others.length === 0) return first
  const energies = channels.map(energy)
  const most = Math.max(...energies)
  const loudest = channels[energies.indexOf(most)] ?? first
  const mean = meanOf(channels.filter((_, index) => (energies[index] ?? 0) >= most * SILENT))
  return energy(mean) < most * CANCELLED ? loudest : mean
}

function energy(samples: Float32Array): number {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  return sum
}

function meanOf(channels: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(channels[0]?.length ?? 0)
  for (const channel of channels) {
    for (let i = 0; i < mean.length; i++) mean[i] = (mean[i] ?? 0) + (channel[i] ?? 0) / channels.length
  }
  return mean
}
