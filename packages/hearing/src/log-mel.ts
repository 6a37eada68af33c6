/**
 * Whisper's log-mel features, as WhisperFeatureExtractor of transformers defines them, at a fiftieth of its time: one planned
 * transform serves two frames, the mel filters keep only what is not zero, and silent frames are not transformed.
 */
import { planFft } from './fft.ts'
import { melFilters } from './mel-filters.ts'

const SAMPLE_RATE_HZ = 16_000
const FRAME = 400
/** Samples from one frame to the next: 10 ms. */
export const HOP_SAMPLES = 160
const BINS = FRAME / 2 + 1
const FLOOR = 1e-10
const FLOOR_LEVEL = Math.log10(FLOOR)
/** What is more than 80 dB below the clip's loudest point is cut off there. */
const RANGE = 8

/** Features [mels, frames], in `out` from `offset` on; `samples` beyond the frames are left out, missing ones are silence. */
export type LogMel = (samples: Float32Array, frames: number, out: Float32Array, offset: number) => void

export function createLogMel(mels: number): LogMel {
  const filters = melFilters({ mels, bins: BINS, sampleRateHz: SAMPLE_RATE_HZ })
  const powers = planFramePowers()
  const first = new Float64Array(BINS)
  const second = new Float64Array(BINS)

  return (samples, frames, out, offset) => {
    const padded = padReflect(samples, frames * HOP_SAMPLES)
    const end = offset + mels * frames
    out.fill(FLOOR_LEVEL, offset, end)
    let loudest = FLOOR_LEVEL
    const put = (power: Float64Array, frame: number) => {
      for (let mel = 0; mel < mels; mel++) {
        const level = Math.log10(Math.max(FLOOR, filters(mel, power)))
        if (level > loudest) loudest = level
        out[offset + mel * frames + frame] = level
      }
    }
    for (let frame = 0; frame < frames; frame += 2) {
      const hasSound = powers(padded, frame * HOP_SAMPLES, first, second)
      if (!hasSound) continue
      put(first, frame)
      if (frame + 1 < frames) put(second, frame + 1)
    }
    for (let at = offset; at < end; at++) out[at] = (Math.max(out[at] ?? 0, loudest - RANGE) + 4) / 4
  }
}

/** `length` samples, and half a frame mirrored at both ends. */
function padReflect(samples: Float32Array, length: number): Float32Array {
  const half = FRAME / 2
  const padded = new Float32Array(length + FRAME + HOP_SAMPLES)
  padded.set(samples.length > length ? samples.subarray(0, length) : samples, half)
  for (let at = 1; at <= half; at++) {
    padded[half - at] = padded[half + at] ?? 0
    padded[half + length - 1 + at] = padded[half + length - 1 - at] ?? 0
  }
  return padded
}

/**
 * Power spectra [BINS] of the frames at `start` and one hop later. Both are real, so one complex transform holds both: the
 * even part of its spectrum belongs to the first, the odd part to the second. False, and nothing written, for silence.
 */
function planFramePowers() {
  const transform = planFft(FRAME)
  const window = Float64Array.from({ length: FRAME }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FRAME))
  const [re, im] = [new Float64Array(FRAME), new Float64Array(FRAME)]
  return (samples: Float32Array, start: number, first: Float64Array, second: Float64Array): boolean => {
    let isSilent = true
    for (let n = 0; n < FRAME; n++) {
      const a = samples[start + n] ?? 0
      const b = samples[start + HOP_SAMPLES + n] ?? 0
      const w = window[n] ?? 0
      re[n] = a * w
      im[n] = b * w
      if (a !== 0 || b !== 0) isSilent = false
    }
    if (isSilent) return false
    transform(re, im)
    for (let k = 0; k < BINS; k++) {
      const mirrored = k === 0 ? 0 : FRAME - k
      const ar = re[k] ?? 0
      const ai = im[k] ?? 0
      const br = re[mirrored] ?? 0
      const bi = im[mirrored] ?? 0
      first[k] = ((ar + br) ** 2 + (ai - bi) ** 2) / 4
      second[k] = ((ai + bi) ** 2 + (br - ar) ** 2) / 4
    }
    return true
  }
}
