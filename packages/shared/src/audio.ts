/**
 * Sound inside Hearth has one form: mono samples in [-1, 1] and their rate. Everything else (PCM bytes, WAV, channels)
 * exists only at borders. Resampling is a low-pass filter first: what the lower rate can't hold is removed, not folded back.
 */
import { AppError } from './errors.ts'
import { buildKernel, filter, resamplingRatio } from './resample-kernel.ts'
import { eventLoopTurns } from './waits.ts'

export type Audio = { readonly samples: Float32Array; readonly sampleRateHz: number }

/** Rates that Hearth takes: from coarse telephony to the highest studio rate. */
const MIN_SAMPLE_RATE_HZ = 4000
const MAX_SAMPLE_RATE_HZ = 384_000

/** Output samples of one step: less than a millisecond of work for the usual rates. */
const STEP_SAMPLES = 1024

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
  const ratio = resamplingRatio(sampleRateHz, toRateHz)
  const { up, down } = ratio
  const kernel = buildKernel(ratio)
  const output = new Float32Array(Math.ceil((samples.length * up) / down))
  for (let from = 0; from < output.length; from += STEP_SAMPLES) {
    filter(samples, ratio, kernel, { output, from, to: Math.min(output.length, from + STEP_SAMPLES) })
    yield
  }
  return { samples: output, sampleRateHz: toRateHz }
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
