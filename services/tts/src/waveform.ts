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

export type Edges = {
  readonly sampleRateHz: number
  /** Silence after the sound; null for the last fragment, whose own ending stays. */
  readonly pauseMs: number | null
}

/** The fragment without the silence around it, faded at both edges and followed by its pause. The input is not changed. */
export function shapeFragment(samples: Float32Array, { sampleRateHz, pauseMs: pause }: Edges): Float32Array {
  const inSamples = (ms: number): number => Math.round((ms * sampleRateHz) / 1000)
  const from = Math.max(0, samples.findIndex(isAudible) - inSamples(MARGIN_MS))
  const lastAudible = samples.findLastIndex(isAudible)
  const soundEnd = lastAudible < 0 || pause === null ? samples.length : lastAudible + 1 + inSamples(MARGIN_MS)
  const sound = samples.slice(from, soundEnd)
  fadeEdges(sound, Math.min(inSamples(FADE_MS), sound.length >> 1))
  if (pause === null) return sound
  const shaped = new Float32Array(sound.length + Math.max(0, inSamples(pause - MARGIN_MS)))
  shaped.set(sound)
  return shaped
}

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
