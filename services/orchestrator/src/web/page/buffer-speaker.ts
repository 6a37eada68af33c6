/** A speaker for pages without worklets, which is so on plain http: each piece is set to begin when the one before it ends. */
import { Heard } from './heard.ts'
import { WIRE_RATE_HZ } from './pcm.ts'
import type { OnPlaying, Speaker } from './speaker.ts'

export class BufferSpeaker implements Speaker {
  readonly #context: AudioContext
  readonly #onPlaying: OnPlaying
  readonly #heard = new Heard(WIRE_RATE_HZ)
  readonly #sources = new Set<AudioBufferSourceNode>()
  /** On the context's clock: when the first piece began, less the pauses since, and when the last one ends. */
  #began = 0
  #ends = 0

  constructor(context: AudioContext, onPlaying: OnPlaying) {
    this.#context = context
    this.#onPlaying = onPlaying
  }

  play(itemId: string, samples: Float32Array<ArrayBuffer>): void {
    if (samples.length === 0) return
    const buffer = this.#context.createBuffer(1, samples.length, WIRE_RATE_HZ)
    buffer.copyToChannel(samples, 0)
    const source = new AudioBufferSourceNode(this.#context, { buffer })
    source.connect(this.#context.destination)
    const starts = Math.max(this.#context.currentTime, this.#ends)
    this.#began += starts - this.#ends
    this.#ends = starts + buffer.duration
    this.#heard.queued(itemId, samples.length)
    source.addEventListener('ended', () => this.#end(source))
    if (this.#sources.size === 0) this.#onPlaying(true)
    this.#sources.add(source)
    source.start(starts)
  }

  stop(): { readonly itemId: string; readonly ms: number } | null {
    this.#heard.playedTo(Math.max(0, (this.#context.currentTime - this.#began) * WIRE_RATE_HZ))
    const now = this.#heard.now()
    this.#heard.clear()
    for (const source of this.#sources) source.stop()
    this.#ends = this.#context.currentTime
    this.#began = this.#ends
    return now
  }

  #end(source: AudioBufferSourceNode): void {
    this.#sources.delete(source)
    if (this.#sources.size === 0) this.#onPlaying(false)
  }
}
