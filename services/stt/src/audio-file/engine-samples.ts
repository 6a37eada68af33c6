/** Decoded sound on its way to the engine: mixed to one channel, brought to 16 kHz, as 16-bit samples, ten seconds at a time. */
import { concat, mixToMono, pcm16, resample } from '@hearth/shared/audio'

const OUT_RATE_HZ = 16_000
const BLOCK_SECONDS = 10
/** More than the resampler's filter reaches, in output samples. */
const REACH_SAMPLES = 64

export class EngineSamples {
  #waiting: Float32Array[] = []
  #waitingCount = 0
  /** The end of the block before, which the filter still needs. */
  #left = new Float32Array(0)
  #sampleRateHz = 0

  /** The samples that are certain now; null when there are too few to be worth it. All of one rate, which the resampler takes. */
  add(channels: readonly Float32Array[], sampleRateHz: number): Int16Array<ArrayBuffer> | null {
    const mono = mixToMono(channels)
    if (mono.length === 0) return null
    this.#sampleRateHz = sampleRateHz
    this.#waiting.push(mono)
    this.#waitingCount += mono.length
    return this.#waitingCount >= BLOCK_SECONDS * sampleRateHz ? this.#take(false) : null
  }

  /** The rest. */
  end(): Int16Array<ArrayBuffer> | null {
    return this.#waitingCount > 0 ? this.#take(true) : null
  }

  /** Resamples what waits, all but the end that the filter can't judge yet; as if it were done in one go. */
  #take(isLast: boolean): Int16Array<ArrayBuffer> | null {
    const { up, down } = ratio(this.#sampleRateHz)
    const context = down * Math.ceil((REACH_SAMPLES * Math.max(1, this.#sampleRateHz / OUT_RATE_HZ)) / down)
    const all = concat([this.#left, ...this.#waiting])
    const from = this.#left.length
    const to = isLast ? all.length : from + down * Math.floor((all.length - from - context) / down)
    if (to <= from) return null
    const { samples } = resample(
      { samples: isLast ? all : all.subarray(0, to + context), sampleRateHz: this.#sampleRateHz },
      OUT_RATE_HZ,
    )
    this.#left = all.slice(Math.max(0, to - context), to)
    this.#waiting = [all.slice(to)]
    this.#waitingCount = all.length - to
    return new Int16Array(
      pcm16(samples.subarray((from * up) / down, isLast ? samples.length : (to * up) / down)).buffer,
    )
  }
}

/** Samples out for samples in, in lowest terms. */
function ratio(sampleRateHz: number): { up: number; down: number } {
  let [a, b] = [sampleRateHz, OUT_RATE_HZ]
  while (b > 0) [a, b] = [b, a % b]
  return { up: OUT_RATE_HZ / a, down: sampleRateHz / a }
}
