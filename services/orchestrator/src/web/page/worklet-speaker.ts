/** The speaker where there are worklets: sound is handed to the thread that plays, which nothing on the page can hold up. */
import { Heard } from './heard.ts'
import { WIRE_RATE_HZ } from './pcm.ts'
import type { OnPlaying, Speaker } from './speaker.ts'
import type { FromSpeaker, ToSpeaker } from './speaker-worklet.ts'
import { StreamResampler } from '@hearth/shared/audio-stream'

export class WorkletSpeaker implements Speaker {
  readonly #node: AudioWorkletNode
  readonly #heard: Heard
  readonly #newResampler: () => StreamResampler
  #resampler: StreamResampler
  #isPlaying = false
  #cuts = 0

  /** The context must have the module of the worklet. */
  constructor(context: AudioContext, onPlaying: OnPlaying) {
    this.#newResampler = () => new StreamResampler(WIRE_RATE_HZ, context.sampleRate)
    this.#resampler = this.#newResampler()
    this.#heard = new Heard(context.sampleRate)
    this.#node = new AudioWorkletNode(context, 'speaker', { numberOfInputs: 0, outputChannelCount: [1] })
    this.#node.connect(context.destination)
    this.#node.port.addEventListener('message', ({ data }: MessageEvent<FromSpeaker>) => {
      if (data.cuts !== this.#cuts) return
      this.#heard.playedTo(data.samples)
      if (data.isPlaying === this.#isPlaying) return
      this.#isPlaying = data.isPlaying
      onPlaying(data.isPlaying)
    })
    this.#node.port.start()
  }

  play(itemId: string, samples: Float32Array): void {
    const resampled = new Float32Array(this.#resampler.push(samples))
    this.#heard.queued(itemId, resampled.length)
    this.#tell({ samples: resampled }, [resampled.buffer])
  }

  stop(): { readonly itemId: string; readonly ms: number } | null {
    const now = this.#heard.now()
    this.#heard.clear()
    this.#resampler = this.#newResampler()
    this.#isPlaying = false
    this.#cuts++
    this.#tell({ cut: true }, [])
    return now
  }

  #tell(message: ToSpeaker, transfer: Transferable[]): void {
    this.#node.port.postMessage(message, transfer)
  }
}
