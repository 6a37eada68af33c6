/** The thread that plays: takes what the page wrote out of the ring, 128 samples at a time, and tells how far it is. */
import { RingBuffer } from './ring-buffer.ts'

export type ToSpeaker = { readonly samples: Float32Array<ArrayBuffer> } | { readonly cut: true }
/** `samples` have been played since cut number `cuts`. */
export type FromSpeaker = { readonly samples: number; readonly cuts: number; readonly isPlaying: boolean }

const CAPACITY_SECONDS = 20
/** Told every 27 ms at 48 kHz. */
const TOLD_EVERY = 10
const FADE_SAMPLES = 128

class SpeakerProcessor extends AudioWorkletProcessor {
  readonly #ring = new RingBuffer(sampleRate * CAPACITY_SECONDS)
  #samples = 0
  #cuts = 0
  #calls = 0
  #isPlaying = false

  constructor() {
    super()
    this.port.addEventListener('message', ({ data }: MessageEvent<ToSpeaker>) =>
      'cut' in data ? this.#cut() : this.#ring.write(data.samples),
    )
    this.port.start()
  }

  process(_inputs: readonly Float32Array[][], outputs: readonly Float32Array<ArrayBuffer>[][]): boolean {
    const output = outputs[0]?.[0]
    if (!output) return true
    const count = this.#ring.read(output)
    this.#samples += count
    const isPlaying = count > 0 && this.#samples > 0
    if (isPlaying !== this.#isPlaying || (isPlaying && ++this.#calls % TOLD_EVERY === 0)) this.#tell(isPlaying)
    return true
  }

  /** What still fades counts for nothing. */
  #cut(): void {
    this.#ring.cut(FADE_SAMPLES)
    this.#samples = -this.#ring.length
    this.#cuts++
  }

  #tell(isPlaying: boolean): void {
    this.#isPlaying = isPlaying
    this.port.postMessage({ samples: this.#samples, cuts: this.#cuts, isPlaying } satisfies FromSpeaker, [])
  }
}

registerProcessor('speaker', SpeakerProcessor)
