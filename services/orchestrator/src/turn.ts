/**
 * One turn of the conversation: what the user said goes in, the reply comes out, with its sound. This is Hearth's data path:
 *
 *   audio -> stt -> memory.recall -> llm -> fragments -> tts -> audio
 *
 * The one idea: the reply is spoken while it is being written. Its first clause is sound before its last sentence is thought
 * of, and each fragment is synthesised while the one before it is delivered.
 */
import { toAppError } from '@hearth/shared/errors'
import { FragmentSplitter } from '@hearth/shared/sentences'
import { Channel, eachTimed, streamOf } from './stream.ts'
import type { OptionalStage, Stages, TurnClock, TurnDone, TurnEvent, TurnEvents, TurnInput } from './turn-events.ts'

/** How many events wait for the reader, and fragments for the voice, before the side that makes them waits. */
const AHEAD = { events: 4, fragments: 8 }

/**
 * Holds one turn and yields its events; `done` comes last. A turn goes on without memory and without a voice, and says so in
 * `degraded`. It throws when it can't hear or has nothing to say; then the session's history and the memory are untouched.
 */
export async function* runTurn(input: TurnInput, stages: Stages, clock: TurnClock, signal: AbortSignal): TurnEvents {
  const { said, session, user, voice, instructions } = input
  const { stt, memory, llm, tts } = stages
  const models: TurnDone['models'] = { stt: null, embeddings: null, llm: llm.name, tts: null }
  const degraded: TurnDone['degraded'] = new Map()
  const done = (): TurnDone => ({ type: 'done', reply, models, degraded, timings: clock.timings() })
  const goOnWithout = (stage: OptionalStage) => (error: unknown) => {
    signal.throwIfAborted()
    degraded.set(stage, toAppError(error))
    return null
  }
  let reply = ''

  const { text, model } = 'wav' in said ? await clock.time('stt', () => stt.transcribe(said.wav, signal)) : said
  models.stt = model
  yield { type: 'transcript', text }
  if (text === '') {
    yield done()
    return
  }

  const recalled = await clock.time('memory', () => memory.recall(text, user, signal)).catch(goOnWithout('memory'))
  const memories = recalled?.memories ?? []
  models.embeddings = recalled?.model ?? null
  yield { type: 'memory', memories }

  yield* streamOf<TurnEvent>(AHEAD.events, signal, async (emit, stop) => {
    const fragments = new Channel<string>(AHEAD.fragments, stop)
    await Promise.all([write(), speak()])

    async function write(): Promise<void> {
      const splitter = new FragmentSplitter()
      const pieces = llm.reply({ instructions, history: session.history, memories, user: text }, stop)
      for await (const piece of eachTimed(pieces, (next) => clock.time('llm', next))) {
        clock.mark('firstToken')
        models.llm = piece.model
        reply += piece.text
        await emit({ type: 'reply.delta', text: piece.text })
        for (const fragment of splitter.push(piece.text)) await fragments.push(fragment)
      }
      for (const fragment of splitter.end()) await fragments.push(fragment)
      fragments.end()
      session.add({ user: text, reply })
      await memory.remember({ text, user, session: session.id }, stop).catch(goOnWithout('memory'))
    }

    async function speak(): Promise<void> {
      for await (const fragment of fragments) {
        if (degraded.has('tts')) continue
        const speech = await clock.time('tts', () => tts.speak(fragment, voice, stop)).catch(goOnWithout('tts'))
        if (speech === null) continue
        clock.mark('firstAudio')
        models.tts = speech.model
        await emit({ type: 'audio', text: fragment, pcm: speech.pcm, sampleRateHz: speech.sampleRateHz })
      }
    }
  })
  yield done()
}
