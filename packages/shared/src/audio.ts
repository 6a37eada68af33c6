/** Sound inside Hearth has one form: mono Float32 samples in [-1, 1] with their rate. PCM16 and WAV exist only at borders. */

export type Audio = { readonly samples: Float32Array; readonly sampleRateHz: number }

export const durationSeconds = ({ samples, sampleRateHz }: Audio): number => samples.length / sampleRateHz

/** s16le bytes, rounded and clipped. */
export function pcm16(samples: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 * samples.length)
  const view = new DataView(bytes.buffer)
  samples.forEach((sample, at) => {
    const level = Math.round(sample * 32_768)
    view.setInt16(2 * at, Math.min(32_767, Math.max(-32_768, level)), true)
  })
  return bytes
}

/** Samples of s16le bytes; an odd last byte is left out. */
export function fromPcm16(bytes: Uint8Array, sampleRateHz: number): Audio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const samples = Float32Array.from({ length: bytes.byteLength >> 1 }, (_, at) => view.getInt16(2 * at, true) / 32_768)
  return { samples, sampleRateHz }
}

export function concat(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The mean of all channels; where they cancel each other (opposite phase, or one speaker among silent ones), the loudest channel. */
export function mixToMono(channels: readonly Float32Array[]): Float32Array {
  const [first = new Float32Array(0), ...others] = channels
  if (others.length === 0) return first
  const mean = first.map(
    (sample, at) => others.reduce((sum, other) => sum + (other[at] ?? 0), sample) / channels.length,
  )
  const loudest = channels.reduce((best, channel) => (energy(channel) > energy(best) ? channel : best), first)
  return energy(mean) < CANCELLED * energy(loudest) ? loudest : mean
}

/** Below this share of the loudest channel's energy (-6 dB) the mean has lost what was said. */
const CANCELLED = 0.25
const energy = (samples: Float32Array): number => samples.reduce((sum, sample) => sum + sample * sample, 0)

/** Zero crossings of the sinc on each side, at the lower of both rates. 32 with Kaiser's beta 8 puts aliases 80 dB down. */
const ZERO_CROSSINGS = 32
const KAISER_BETA = 8
/** The pass band ends here, as a share of the lower Nyquist frequency, so that the transition band fits below it. */
const CUTOFF = 0.92
/** Kernels are computed for at most this many positions between two samples; odd rate pairs use the nearest one (below -90 dB of error). */
const MAX_PHASES = 2048

/**
 * Resamples with a Kaiser-windowed sinc, one kernel per phase (polyphase; Smith, "Digital Audio Resampling"). Linear phase, no delay, DC gain
 * 1; length ceil(n * to / from). The same rate gives the same samples.
 */
export function resample(audio: Audio, toRateHz: number): Audio {
  const { samples, sampleRateHz } = audio
  if (sampleRateHz === toRateHz) return audio
  const step = sampleRateHz / toRateHz
  const phases = Math.min(MAX_PHASES, toRateHz / gcd(sampleRateHz, toRateHz))
  const scale = CUTOFF * Math.min(1, toRateHz / sampleRateHz)
  const reach = Math.ceil(ZERO_CROSSINGS / scale)
  const kernels = Array.from({ length: phases }, (_, phase) => kernel(phase / phases, scale, reach))
  const output = new Float32Array(Math.ceil(samples.length / step))
  for (let at = 0; at < output.length; at++) {
    const position = at * step
    let base = Math.floor(position)
    let phase = Math.round((position - base) * phases)
    if (phase === phases) [base, phase] = [base + 1, 0]
    output[at] = dot(kernels[phase] ?? EMPTY, samples, base - reach + 1)
  }
  return { samples: output, sampleRateHz: toRateHz }
}

const EMPTY = new Float64Array(0)

/** Weights of the samples from `reach - 1` before to `reach` after a position that lies `fraction` behind a sample; they sum to 1. */
function kernel(fraction: number, scale: number, reach: number): Float64Array {
  const weights = Float64Array.from({ length: 2 * reach }, (_, tap) => {
    const distance = tap - reach + 1 - fraction
    return sinc(distance * scale) * kaiser(distance / reach)
  })
  const sum = weights.reduce((total, weight) => total + weight, 0)
  return weights.map((weight) => weight / sum)
}

function dot(weights: Float64Array, samples: Float32Array, from: number): number {
  const begin = Math.max(0, -from)
  const end = Math.min(weights.length, samples.length - from)
  let sum = 0
  for (let tap = begin; tap < end; tap++) sum += (weights[tap] ?? 0) * (samples[from + tap] ?? 0)
  return sum
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** Kaiser's window at x in [-1, 1]. */
const kaiser = (x: number): number =>
  Math.abs(x) >= 1 ? 0 : besselI0(KAISER_BETA * Math.sqrt(1 - x * x)) / besselI0(KAISER_BETA)

/** The modified Bessel function of order zero, by its power series. */
function besselI0(x: number): number {
  let [sum, term] = [1, 1]
  for (let k = 1; term > 1e-12 * sum; k++) sum += term *= (x / (2 * k)) ** 2
  return sum
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))
