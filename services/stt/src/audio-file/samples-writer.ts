/**
 * Decoded sound on its way to the engine: mixed to one channel, brought to 16 kHz and kept as 16-bit samples, while the
 * limits are watched. What is held besides is a few seconds, however long the recording is.
 */
import { checkSampleRate, concat, mixToMono, pcm16, resample } from '@hearth/shared/audio'
import { AppError } from '@hearth/shared/errors'

export type AudioLimits = {
  readonly minSeconds: number
  readonly maxSeconds: number
}

const OUT_RATE_HZ = 16_000
const BLOCK_SECONDS = 10
/** What rounding may add. */
const SPARE_BYTES = 1024
/** More than the resampler's filter reaches, in output samples. */
const REACH_SAMPLES = 64
/**
 * After ten minutes a recording must have cost at least 2.4 kbit/s of what was read so far: less is a file made to unfold into hours
 * (telephone codecs need twice that, a FLAC of pure silence a fifth).
 */
const FREE_SECONDS = 600
const LEAST_BYTES_PER_SECOND = 300

export class SamplesWriter {
  readonly #limits: AudioLimits
  /** Grows in place: an hour is 115 MB, and is never held twice. */
  readonly #out: ArrayBuffer
  #waiting: Float32Array[] = []
  #waitingCount = 0
  /** The end of the block before, which the filter still needs. */
  #left = new Float32Array(0)
  #sampleRateHz = 0
  #count = 0

  constructor(limits: AudioLimits) {
    this.#limits = limits
    this.#out = new ArrayBuffer(0, { maxByteLength: Math.ceil(limits.maxSeconds * OUT_RATE_HZ) * 2 + SPARE_BYTES })
  }

  get seconds(): number {
    return this.#sampleRateHz === 0 ? 0 : this.#count / this.#sampleRateHz
  }

  /** Throws `audio_too_long`, `unsupported_sample_rate`, `undecodable_audio`. `bytesRead`: of the file, so far. */
  add(channels: readonly Float32Array[], sampleRateHz: number, bytesRead: number): void {
    const mono = mixToMono(channels)
    if (mono.length === 0) return
    if (this.#sampleRateHz === 0) checkSampleRate(sampleRateHz)
    else if (this.#sampleRateHz !== sampleRateHz)
      throw refuse('undecodable_audio', 'expected one sample rate, got a file that changes it')
    this.#sampleRateHz = sampleRateHz
    this.#waiting.push(mono)
    this.#waitingCount += mono.length
    this.#count += mono.length
    this.#checkLength(this.seconds, bytesRead)
    if (this.#waitingCount >= BLOCK_SECONDS * sampleRateHz) this.#flush(false)
  }

  /** What a file says of its length before it is decoded, if anything. Throws `audio_too_long`. */
  expect(seconds: number | null, fileBytes: number): void {
    this.#checkLength(seconds ?? 0, fileBytes)
  }

  /** All samples. Throws `audio_too_short`. */
  end(): Int16Array<ArrayBuffer> {
    const { minSeconds } = this.#limits
    if (this.seconds < minSeconds || this.#count === 0)
      throw refuse('audio_too_short', `expected at least ${minSeconds} s of audio, got ${this.seconds.toFixed(3)} s`)
    this.#flush(true)
    return new Int16Array(this.#out)
  }

  #checkLength(seconds: number, bytes: number): void {
    const { maxSeconds } = this.#limits
    if (seconds > maxSeconds) throw refuse('audio_too_long', `expected at most ${maxSeconds} s of audio, got more`)
    if (seconds > FREE_SECONDS + bytes / LEAST_BYTES_PER_SECOND)
      throw refuse('audio_too_long', `expected a recording, got ${bytes} bytes that unfold into hours`)
  }

  /** Resamples what waits, all but the end that the filter can't judge yet; as if it were done in one go. */
  #flush(isLast: boolean): void {
    const { up, down } = ratio(this.#sampleRateHz)
    const context = down * Math.ceil((REACH_SAMPLES * Math.max(1, this.#sampleRateHz / OUT_RATE_HZ)) / down)
    const all = concat([this.#left, ...this.#waiting])
    const from = this.#left.length
    const to = isLast ? all.length : from + down * Math.floor((all.length - from - context) / down)
    if (to <= from) return
    const { samples } = resample(
      { samples: isLast ? all : all.subarray(0, to + context), sampleRateHz: this.#sampleRateHz },
      OUT_RATE_HZ,
    )
    this.#write(pcm16(samples.subarray((from * up) / down, isLast ? samples.length : (to * up) / down)))
    this.#left = all.slice(Math.max(0, to - context), to)
    this.#waiting = [all.slice(to)]
    this.#waitingCount = all.length - to
  }

  #write(block: Uint8Array): void {
    const at = this.#out.byteLength
    this.#out.resize(at + block.length)
    new Uint8Array(this.#out).set(block, at)
  }
}

const refuse = (code: 'audio_too_short' | 'audio_too_long' | 'undecodable_audio', message: string) =>
  new AppError(code, message, { param: 'file' })

/** Samples out for samples in, in lowest terms. */
function ratio(sampleRateHz: number): { up: number; down: number } {
  let [a, b] = [sampleRateHz, OUT_RATE_HZ]
  while (b > 0) [a, b] = [b, a % b]
  return { up: OUT_RATE_HZ / a, down: sampleRateHz / a }
}
