/** One audio context for both directions, begun by the reader's first press, as browsers ask. */
import { Speaker } from './speaker.ts'

export type Sound = { readonly context: AudioContext; readonly speaker: Speaker }

/** Null where the browser has no worklets, which is so on plain http: replies are then read, not heard. */
export async function openSound(onPlaying: (isPlaying: boolean) => void): Promise<Sound | null> {
  const context = new AudioContext({ latencyHint: 'interactive' })
  if (!('audioWorklet' in context)) return null
  const modules = ['./speaker-worklet.ts', './microphone-worklet.ts']
  await Promise.all(modules.map((module) => context.audioWorklet.addModule(new URL(module, import.meta.url))))
  await context.resume()
  return { context, speaker: new Speaker(context, onPlaying) }
}
