/**
 * One turn of the conversation: what the user said goes in, the reply comes out, with its sound. This is Hearth's data path:
 *
 *   audio -> stt -> memory.recall -> llm -> fragments -> tts -> audio
 *
 * The one idea: the reply is spoken while it is being written (spoken-reply.ts). Its first clause is sound before its last
 * sentence is thought of.
 */
import { toAppError } from '@hearth/shared/errors'
import { languageCode } from '@hearth/shared/languages'
import { spokenReply } from './spoken-reply.ts'
import type { OptionalStage, Stages, TurnClock, TurnDone, TurnEvents, TurnInput } from './turn-events.ts'

/**
 * Holds one turn and yields its events; `done` comes last. A turn goes on without memory and without a voice, and says so in
 * `degraded`. It throws when it can't hear or has nothing to say; then the session's history and the memory are untouched.
 */
export async function* runTurn(input: TurnInput, stages: Stages, clock: TurnClock, signal: AbortSignal): TurnEvents {
  const { said, session, user, instructions, writing } = input
  const { stt, memory, llm, tts } = stages
  const models: TurnDone['models'] = { stt: null, embeddings: null, llm: llm.name, tts: null }
  const degraded: TurnDone['degraded'] = new Map()
  const goOnWithout = (stage: OptionalStage) => (error: unknown) => {
    signal.throwIfAborted()
    degraded.set(stage, toAppError(error))
    return null
  }
  const heard = 'wav' in said ? await clock.time('stt', () => stt.transcribe(said.wav, signal, input.language)) : said
  const { text } = heard
  models.stt = heard.model
  if ('unqueued' in heard && heard.unqueued) degraded.set('queue', heard.unqueued)
  const language = languageCode(input.language ?? heard.language ?? '') ?? null

  let reply = ''
  let ending: TurnDone['ending'] = {}
  const done = (): TurnDone => {
    const times = { timings: clock.timings(), waterfall: clock.waterfall() }
    return { type: 'done', reply, language, models, degraded, ending, ...times }
  }
  yield { type: 'transcript', text }
  if (text === '') {
    yield done()
    return
  }

  const speaks = input.speak !== false
  const [recalled, voice] = await Promise.all([
    clock.time('memory', () => memory.recall(text, user, signal)).catch(goOnWithout('memory')),
    input.voice ?? (speaks ? tts.voiceFor(language, signal).catch(goOnWithout('voice')) : null),
  ])
  const memories = recalled?.memories ?? []
  models.embeddings = recalled?.model ?? null
  yield { type: 'memory', memories }

  const facts = memories.map(({ text: fact }) => fact)
  const prompt = { ...writing, instructions, history: session.history, memories: facts, user: text, language }
  const speak = async (fragment: string, stop: AbortSignal) =>
    degraded.has('tts') ? null : tts.speak(fragment, voice ?? undefined, stop).catch(goOnWithout('tts'))
  let remembered: Promise<unknown> = Promise.resolve()
  for await (const event of spokenReply((stop) => llm.reply(prompt, stop), speaks ? speak : null, clock, signal)) {
    if (event.type === 'audio') {
      models.tts = event.model
      yield { type: 'audio', text: event.text, pcm: event.pcm, sampleRateHz: event.sampleRateHz }
    } else if (event.type === 'text') {
      const { type: _, text: written, model: writer, ...told } = event
      models.llm = writer
      reply += written
      ending = { ...ending, ...told }
      if (written !== '') yield { type: 'reply.delta', text: written }
    } else {
      session.add({ user: text, reply })
      if (input.remember === false) continue
      const forget = (error: unknown) => degraded.set('memory', toAppError(error))
      const remember = () => memory.remember({ text, user, session: session.id, turn: input.turn }, signal)
      remembered = clock.time('remember', remember).catch(forget)
    }
  }
  await remembered
  yield done()
}
