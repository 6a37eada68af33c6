/** The sound that a client sends, kept as long as it may become part of an utterance. Places in it are milliseconds since it began. */
import { fromPcm16, pcm16, resample } from '@hearth/shared/audio'
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

/** Sound of one rate. */
class Run {
  readonly rateHz: number
  readonly #startMs: number
  readonly #chunks: Buffer[] = []
  /** Bytes before the first chunk that is kept, and after the last. */
  #from = 0
  #to = 0

  constructor(rateHz: number, startMs: number) {
    this.rateHz = rateHz
    this.#startMs = startMs
  }

  get fromMs(): number {
    return this.#startMs + this.#msOf(this.#from)
  }

  get endMs(): number {
    return this.#startMs + this.#msOf(this.#to)
  }

  append(pcm: Buffer): void {
    this.#chunks.push(pcm)
    this.#to += pcm.length
  }

  /** What is still there of that stretch. */
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

  #msOf = (bytes: number): number => (bytes / 2 / this.rateHz) * 1000

  /** In the bytes that are kept. */
  #placeOf(ms: number): number {
    const samples = Math.round(((ms - this.#startMs) / 1000) * this.rateHz)
    return Math.max(0, Math.min(samples * 2 - this.#from, this.#to - this.#from))
  }
}

export class SoundIn {
  /** Only the last grows. */
  #runs: readonly Run[] = []
  #last: Run

  constructor(rateHz: number) {
    this.#last = new Run(rateHz, 0)
  }

  get totalMs(): number {
    return this.#last.endMs
  }

  get keptMs(): number {
    return this.totalMs - (this.#runs[0] ?? this.#last).fromMs
  }

  get rateHz(): number {
    return this.#last.rateHz
  }

  append(pcm: Buffer): void {
    this.#last.append(pcm)
  }

  /** That of what comes next. */
  changeRate(rateHz: number): void {
    if (rateHz === this.rateHz) return
    this.#runs = this.#kept([...this.#runs, this.#last])
    this.#last = new Run(rateHz, this.totalMs)
  }

  /** s16le bytes at `rateHz` of what is still there of that stretch. */
  between(fromMs: number, toMs: number): Buffer<ArrayBuffer> {
    const last = this.#last.between(fromMs, toMs)
    if (this.#runs.length === 0) return last
    // Converted only now: a client may change its format as often as it likes, and pays when something is to be heard.
    const earlier = this.#runs.map((run) => atRate(run.between(fromMs, toMs), run.rateHz, this.rateHz))
    return Buffer.concat([...earlier, last])
  }

  forgetBefore(ms: number): void {
    for (const run of [...this.#runs, this.#last]) run.forgetBefore(ms)
    this.#runs = this.#kept(this.#runs)
  }

  #kept = (runs: readonly Run[]): readonly Run[] => runs.filter(({ fromMs, endMs }) => fromMs < endMs)
}

const atRate = (pcm: Uint8Array, rateHz: number, wantedHz: number): Uint8Array =>
  rateHz === wantedHz ? pcm : pcm16(resample(fromPcm16(pcm, rateHz), wantedHz).samples)
