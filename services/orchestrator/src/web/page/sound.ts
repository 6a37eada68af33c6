/** One audio context for both directions, begun by the reader's first press, as browsers ask. */
import { BufferSpeaker } from './buffer-speaker.ts'
import type { OnPlaying, Speaker } from './speaker.ts'
import { WorkletSpeaker } from './worklet-speaker.ts'

export type Sound = { readonly context: AudioContext; readonly speaker: Speaker }

/** Rejects when the browser has no sound to give. */
export async function openSound(onPlaying: OnPlaying): Promise<Sound> {
  const context = new AudioContext({ latencyHint: 'interactive' })
  await context.resume()
  if (!('audioWorklet' in context)) return { context, speaker: new BufferSpeaker(context, onPlaying) }
  const modules = ['./speaker-worklet.ts', './microphone-worklet.ts']
  await Promise.all(modules.map((module) => context.audioWorklet.addModule(new URL(module, import.meta.url))))
  return { context, speaker: new WorkletSpeaker(context, onPlaying) }
}
