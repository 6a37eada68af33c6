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
  const degraded: TurnDone['degraded'] = new Map()
  const goOnWithout = (stage: OptionalStage) => (error: unknown) => {
    signal.throwIfAborted()
    degraded.set(stage, toAppError(error))
    return null
  }
  const heard = 'wav' in said ? await clock.time('stt', () => stt.transcribe(said.wav, signal, input.language)) : said
  const { text } = heard
  const models: TurnDone['models'] = { stt: heard.model, embeddings: null, llm: llm.name, tts: null }
  if ('unqueued' in heard && heard.unqueued) degraded.set('queue', heard.unqueued)
  const language = languageCode(input.language ?? heard.language ?? '') ?? null
  let reply = ''
  let ending: TurnDone['ending'] = {}
  const done = (): TurnDone => ({ type: 'done', reply, language, models, degraded, ending, ...clock.report() })
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

  const results = 'results' in heard ? heard.results : undefined
  const asked = { user: results ? '' : text, results }
  const { history, summary } = session
  const owner = `${user}/${session.id}`
  const facts = memories.map(({ text: fact }) => fact)
  const prompt = { ...writing, instructions, session: owner, history, summary, memories: facts, ...asked, language }
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
      // A reply that broke off was said, but is no example to follow.
      if (!ending.incomplete) session.add({ ...asked, reply, calls: ending.toolCalls })
      if (ending.toolCalls) yield { type: 'tool_calls', calls: ending.toolCalls }
      if (input.remember === false || results) continue
      const remember = () => memory.remember({ text, user, session: session.id, turn: input.turn }, signal)
      remembered = clock.time('remember', remember).catch((error) => degraded.set('memory', toAppError(error)))
    }
  }
  await remembered
  yield done()
}
