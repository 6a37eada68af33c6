/**
 * Fragments of speech made to fit together: quiet edges cut to a known length, a few milliseconds of fade so that
 * no join clicks, and a pause that follows from the mark the fragment ends with.
 */
import { AppError } from '@hearth/shared/errors'

const FADE_MS = 5
/** Kept before and after the last audible sample: soft consonants begin and end below the threshold. */
const MARGIN_MS = 60
/** About -52 dB of full scale. */
const AUDIBLE = 0.0025

/** Throws `engine_failed` when a model gave no sound or numbers that are no sound: such bytes never leave. */
export function checkWaveform(samples: Float32Array): void {
  if (samples.length === 0) throw new AppError('engine_failed', 'the voice gave no samples')
  if (!samples.every(Number.isFinite)) throw new AppError('engine_failed', 'the voice gave samples that are no numbers')
}

/** Milliseconds of silence after a fragment, by its last mark; faster speech has shorter pauses. */
export function pauseMs(fragment: string, speed: number): number {
  const mark = /([.!?…,;:—])["”')]*$/.exec(fragment)?.[1]
  if (mark === undefined) return 40 / speed
  return (',;:—'.includes(mark) ? 120 : 240) / speed
}

/** Where the sound begins and ends, in samples; the whole when all is silence. */
export function audibleRange(samples: Float32Array): { readonly from: number; readonly to: number } {
  const last = samples.findLastIndex(isAudible)
  return last < 0 ? { from: 0, to: samples.length } : { from: samples.findIndex(isAudible), to: last + 1 }
}

export type Trimmed = {
  /** From shortly before the first audible sample to shortly behind the last, faded at both edges. */
  readonly sound: Float32Array
  /** What came behind: the fragment's own ending, for the last one. Begins and ends at silence. */
  readonly tail: Float32Array
  /** Where `sound` begins in the fragment, in samples. */
  readonly startsAt: number
}

/** A fragment without the silence around it. The input is not changed. */
export function trimFragment(samples: Float32Array, sampleRateHz: number): Trimmed {
  const margin = inSamples(MARGIN_MS, sampleRateHz)
  const audible = audibleRange(samples)
  const startsAt = Math.max(0, audible.from - margin)
  const end = Math.min(samples.length, audible.to + margin)
  const [sound, tail] = [samples.slice(startsAt, end), samples.slice(end)]
  for (const part of [sound, tail]) fadeEdges(part, Math.min(inSamples(FADE_MS, sampleRateHz), part.length >> 1))
  return { sound, tail, startsAt }
}

/** The silence that makes a pause of `pauseMs` behind a trimmed fragment, whose margin is a part of it. */
export const silenceAfter = (pause: number, sampleRateHz: number): Float32Array =>
  new Float32Array(inSamples(Math.max(0, pause - MARGIN_MS), sampleRateHz))

const inSamples = (ms: number, sampleRateHz: number): number => Math.round((ms * sampleRateHz) / 1000)

const isAudible = (sample: number): boolean => Math.abs(sample) > AUDIBLE

/** A straight ramp over `length` samples at both ends, in place. */
function fadeEdges(samples: Float32Array, length: number): void {
  for (let i = 0; i < length; i++) {
    const gain = i / length
    samples[i] = (samples[i] ?? 0) * gain
    const mirror = samples.length - 1 - i
    samples[mirror] = (samples[mirror] ?? 0) * gain
  }
}
