/** One audio context for both directions, begun by the reader's first press, as browsers ask. */
import { BufferSpeaker } from './buffer-speaker.ts'
import type { OnPlaying, Speaker } from './speaker.ts'
import { WorkletSpeaker } from './worklet-speaker.ts'

type Opened = { readonly context: AudioContext; readonly speaker: Speaker }

export class Sound {
  readonly #onPlaying: OnPlaying
  #opening: Promise<Opened> | null = null
  #speaker: Speaker | null = null
  /** What came before the speaker was there. */
  #early: { readonly itemId: string; readonly samples: Float32Array<ArrayBuffer> }[] = []

  constructor(onPlaying: OnPlaying) {
    this.#onPlaying = onPlaying
  }

  /** Rejects when the browser has no sound to give. */
  async open(): Promise<AudioContext> {
    this.#opening ??= open(this.#onPlaying)
    const { context, speaker } = await this.#opening
    this.#speaker = speaker
    for (const { itemId, samples } of this.#early.splice(0)) speaker.play(itemId, samples)
    return context
  }

  /** Nothing is heard of it where nobody has asked for sound. */
  play(itemId: string, samples: Float32Array<ArrayBuffer>): void {
    if (this.#speaker) this.#speaker.play(itemId, samples)
    else if (this.#opening) this.#early.push({ itemId, samples })
  }

  /** As of a speaker. */
  stop(): ReturnType<Speaker['stop']> {
    this.#early = []
    return this.#speaker?.stop() ?? null
  }
}

async function open(onPlaying: OnPlaying): Promise<Opened> {
  const context = new AudioContext({ latencyHint: 'interactive' })
  await context.resume()
  if (!('audioWorklet' in context)) return { context, speaker: new BufferSpeaker(context, onPlaying) }
  const modules = ['./speaker-worklet.ts', './microphone-worklet.ts']
  await Promise.all(modules.map((module) => context.audioWorklet.addModule(new URL(module, import.meta.url))))
  return { context, speaker: new WorkletSpeaker(context, onPlaying) }
}
