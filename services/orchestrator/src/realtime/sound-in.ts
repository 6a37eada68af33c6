/** The sound that a client sends, kept as long as it may become part of an utterance. Places in it are milliseconds since it began. */
import { AppError } from '@hearth/shared/errors'
import { wavHeader } from '@hearth/shared/wav'
import { decodeBase64 } from '../base64.ts'
import { fromG711 } from './g711.ts'
import type { AudioFormat } from './session-config.ts'

export const rateOf = (format: AudioFormat): number => (format.type === 'audio/pcm' ? 24_000 : 8000)

/** s16le bytes of what a client sent. Throws `invalid_request`. */
export function readSound(base64: string, format: AudioFormat): Buffer<ArrayBuffer> {
  const bytes = decodeBase64(base64)
  if (!bytes) throw new AppError('invalid_request', 'audio: expected base64 without line breaks', { param: 'audio' })
  if (format.type === 'audio/pcmu') return fromG711(bytes, 'mu')
  if (format.type === 'audio/pcma') return fromG711(bytes, 'a')
  if (bytes.length % 2 === 0) return bytes
  const message = `audio: expected whole 16-bit samples, got ${bytes.length} bytes`
  throw new AppError('invalid_request', message, { param: 'audio' })
}

/** A WAV file of s16le bytes. */
export const wavOf = (pcm: Uint8Array, sampleRateHz: number): Buffer<ArrayBuffer> =>
  Buffer.concat([wavHeader({ sampleRateHz, sampleCount: pcm.length >> 1 }), pcm])

export class SoundIn {
  #rateHz: number
  #chunks: Buffer[] = []
  /** Bytes before the first chunk that is kept, and after the last. */
  #from = 0
  #to = 0
  /** Milliseconds that came at other rates. */
  #earlierMs = 0

  constructor(rateHz: number) {
    this.#rateHz = rateHz
  }

  get totalMs(): number {
    return this.#earlierMs + this.#msOf(this.#to)
  }

  get keptMs(): number {
    return this.#msOf(this.#to - this.#from)
  }

  get rateHz(): number {
    return this.#rateHz
  }

  append(pcm: Buffer): void {
    this.#chunks.push(pcm)
    this.#to += pcm.length
  }

  /** What comes next has another rate; what came before is forgotten. */
  changeRate(rateHz: number): void {
    this.#earlierMs = this.totalMs
    this.#rateHz = rateHz
    this.#chunks = []
    this.#from = this.#to = 0
  }

  /** s16le bytes of what is still there of that stretch. */
  between(fromMs: number, toMs: number): Buffer<ArrayBuffer> {
    const kept = Buffer.concat(this.#chunks)
    return kept.subarray(this.#placeOf(fromMs), this.#placeOf(toMs))
  }

  forgetBefore(ms: number): void {
    const end = this.#from + this.#placeOf(ms)
    for (let [first] = this.#chunks; first && this.#from + first.length <= end; [first] = this.#chunks) {
      this.#from += first.length
      this.#chunks.shift()
    }
  }

  #msOf = (bytes: number): number => (bytes / 2 / this.#rateHz) * 1000

  /** In the bytes that are kept. */
  #placeOf(ms: number): number {
    const samples = Math.round(((ms - this.#earlierMs) / 1000) * this.#rateHz)
    return Math.max(0, Math.min(samples * 2 - this.#from, this.#to - this.#from))
  }
}
