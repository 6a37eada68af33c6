/** How long a recording is, counted while it is decoded, and refused as soon as it is too long. */
import { checkSampleRate } from '@hearth/shared/audio'
import { AppError } from '@hearth/shared/errors'

export type AudioLimits = {
  readonly minSeconds: number
  readonly maxSeconds: number
}

/**
 * After ten minutes a recording must have cost at least 2.4 kbit/s of what was read so far: less is a file made to unfold into hours
 * (telephone codecs need twice that, a FLAC of pure silence a fifth).
 */
const FREE_SECONDS = 600
const LEAST_BYTES_PER_SECOND = 300

export class RecordingLength {
  readonly #limits: AudioLimits
  #sampleRateHz = 0
  #count = 0

  constructor(limits: AudioLimits) {
    this.#limits = limits
  }

  get seconds(): number {
    return this.#sampleRateHz === 0 ? 0 : this.#count / this.#sampleRateHz
  }

  /** What a file says of its length before it is decoded, if anything. Throws `audio_too_long`. */
  expect(seconds: number | null, fileBytes: number): void {
    this.#check(seconds ?? 0, fileBytes)
  }

  /** Throws `audio_too_long`, `unsupported_sample_rate`, `undecodable_audio`. `bytesRead`: of the file, so far. */
  add(samples: number, sampleRateHz: number, bytesRead: number): void {
    if (samples === 0) return
    if (this.#sampleRateHz === 0) checkSampleRate(sampleRateHz)
    else if (this.#sampleRateHz !== sampleRateHz)
      throw refuse('undecodable_audio', 'expected one sample rate, got a file that changes it')
    this.#sampleRateHz = sampleRateHz
    this.#count += samples
    this.#check(this.seconds, bytesRead)
  }

  /** At the end of the file. Throws `audio_too_short`. */
  end(): void {
    const { minSeconds } = this.#limits
    if (this.seconds < minSeconds || this.#count === 0)
      throw refuse('audio_too_short', `expected at least ${minSeconds} s of audio, got ${this.seconds.toFixed(3)} s`)
  }

  #check(seconds: number, bytes: number): void {
    const { maxSeconds } = this.#limits
    if (seconds > maxSeconds) throw refuse('audio_too_long', `expected at most ${maxSeconds} s of audio, got more`)
    if (seconds > FREE_SECONDS + bytes / LEAST_BYTES_PER_SECOND)
      throw refuse('audio_too_long', `expected a recording, got ${bytes} bytes that unfold into hours`)
  }
}

const refuse = (code: 'audio_too_short' | 'audio_too_long' | 'undecodable_audio', message: string) =>
  new AppError(code, message, { param: 'file' })
