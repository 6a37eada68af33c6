/**
 * A reply that is spoken while it is being written. Its first clause is sound before its last sentence is thought of, and each fragment is
 * synthesised while the one before it is delivered.
 */
import { FragmentSplitter } from '@hearth/shared/sentences'
import type { ReplyPiece } from './stages/llm.ts'
import type { Speech } from './stages/tts.ts'
import { Channel, eachTimed, streamOf } from './stream.ts'
import type { TurnClock } from './turn-events.ts'

export type ReplyEvent =
  | ({ readonly type: 'text' } & ReplyPiece)
  /** All of the text is there; sound may still come. */
  | { readonly type: 'written' }
  | ({ readonly type: 'audio'; readonly text: string } & Speech)

/** The sound of one fragment; null when it has none. Null instead of a voice makes a reply of text alone. */
export type Voice = ((fragment: string, signal: AbortSignal) => Promise<Speech | null>) | null

/** How many events wait for the reader, and fragments for the voice, before the side that makes them waits. */
const AHEAD = { events: 4, fragments: 8 }

/** Yields text and sound as they are made, each in its order. Throws what the writer or the voice throws; leaving the loop stops both. */
export function spokenReply(
  write: (signal: AbortSignal) => AsyncIterable<ReplyPiece>,
  voice: Voice,
  clock: TurnClock,
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent, void, void> {
  return streamOf<ReplyEvent>(AHEAD.events, signal, async (emit, stop) => {
    const fragments = new Channel<string>(AHEAD.fragments, stop)
    await Promise.all([writeAll(), voice && speakAll(voice)])

    async function writeAll(): Promise<void> {
      const splitter = new FragmentSplitter()
      const askedMs = clock.elapsedMs()
      const forVoice = async (ready: readonly string[]) => {
        if (voice) for (const fragment of ready) await fragments.push(fragment)
      }
      for await (const piece of eachTimed(write(stop), (next) => clock.time('llm', next))) {
        clock.mark('llm.first_token', askedMs)
        await emit({ type: 'text', ...piece })
        await forVoice(splitter.push(piece.text))
      }
      await forVoice(splitter.end())
      fragments.end()
      await emit({ type: 'written' })
    }

    async function speakAll(speak: NonNullable<Voice>): Promise<void> {
      for await (const fragment of fragments) {
        const askedMs = clock.elapsedMs()
        const speech = await clock.time('tts', () => speak(fragment, stop))
        if (speech === null) continue
        clock.mark('tts.first_byte', askedMs)
        clock.mark('first_audio')
        await emit({ type: 'audio', text: fragment, ...speech })
      }
    }
  })
}
