/**
 * `POST /v1/chat/completions` (OpenAI): the language model for clients that know no other address, with ears for `input_audio` and a
 * voice for `modalities: ["text", "audio"]`. It keeps no session and no memory: the client sends the whole conversation.
 */
import { randomUUID } from 'node:crypto'
import { HEADERS } from '@hearth/shared/api'
import { toAppError } from '@hearth/shared/errors'
import { replyStream, requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { readJson } from '@hearth/shared/request-body'
import { StageClock } from '@hearth/shared/stage-clock'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import type { Context, Hono } from 'hono'
import type { Admission } from './admission.ts'
import { ChatAudio, newAudioId, soundKey } from './chat-audio.ts'
import { promptOf, wordsOf } from './chat-messages.ts'
import { chunkLines, collectReply, completionBody, errorLine } from './chat-reply.ts'
import type { ReplyHead } from './chat-reply.ts'
import { ChatRequest, ignoredFields, spokenAs, writingOf } from './chat-request.ts'
import type { Spoken } from './chat-request.ts'
import { spokenReply } from './spoken-reply.ts'
import type { ReplyEvent } from './spoken-reply.ts'
import { observeStages, tellStages } from './profile.ts'
import { traceOf, withTrace } from './stages/trace.ts'
import { endingWith, startingWith } from './stream.ts'
import { TURN_STAGES } from './turn-events.ts'
import type { Stages, TurnClock } from './turn-events.ts'

export type ChatOptions = {
  readonly stages: Pick<Stages, 'stt' | 'llm' | 'tts'>
  /** The system text of a conversation that brings none. */
  readonly instructions: string
  /** Turns and replies at the same time. */
  readonly admission: Admission
  /** For one whole reply. */
  readonly turnLimitMs: number
  readonly log: Log
  readonly metrics: Metrics
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number
}

/** One reply on its way. */
type Reply = {
  readonly head: ReplyHead
  readonly spoken: Spoken | null
  /** Whether the end of a stream tells what the reply took. */
  readonly withUsage: boolean
  readonly events: AsyncGenerator<ReplyEvent, void, void>
  readonly clock: TurnClock
  /** Fields of the request without effect on the model that is asked. */
  readonly ignored: readonly string[]
}

/** Adds the route. */
export function addChatCompletions(app: Hono<AppEnv>, options: ChatOptions): void {
  const { admission, turnLimitMs, wallClock: now = Date.now } = options
  const audio = new ChatAudio({ now })

  app.post('/v1/chat/completions', async (c) => {
    const leave = admission.enter()
    const stop = new AbortController()
    const end = (): void => {
      leave()
      stop.abort(new DOMException('the reply is over', 'AbortError'))
    }
    try {
      const trace = traceOf(c.get('requestId'), (name) => c.req.header(name))
      const signal = withTrace(
        AbortSignal.any([requestSignal(c), AbortSignal.timeout(turnLimitMs), stop.signal]),
        trace,
      )
      const request = await readJson(c, ChatRequest)
      const reply = await beginReply(request, { ...options, now, audio }, signal)
      const ignored = [...ignoredFields(request), ...reply.ignored]
      if (ignored.length > 0) c.header('x-ignored', ignored.join(', '))
      if (request.stream) return await streamReply(c, reply, audio, options, end)
      const body = await wholeReply(c, reply, audio, options)
      end()
      return c.json(body)
    } catch (error) {
      end()
      throw error
    }
  })
}

type Parts = ChatOptions & { readonly audio: ChatAudio; readonly now: () => number }

async function beginReply(request: ChatRequest, parts: Parts, signal: AbortSignal): Promise<Reply> {
  const { stages, audio, now, instructions } = parts
  const { stt, llm, tts } = stages
  const clock: TurnClock = new StageClock(TURN_STAGES)
  const spoken = spokenAs(request)

  async function hear(wav: Uint8Array): Promise<string> {
    const key = soundKey(wav)
    const known = audio.get(key)
    if (known !== undefined) return known
    const { text } = await clock.time('stt', () => stt.transcribe(wav, signal))
    audio.set(key, text)
    return text
  }
  const words = wordsOf(request, audio, hear)
  const [heard] = await Promise.all([words, spoken?.voice !== undefined && tts.requireVoice(spoken.voice, signal)])
  const prompt = { ...promptOf(heard, instructions), ...writingOf(request), memories: [] }
  const head = {
    id: `chatcmpl-${randomUUID().replaceAll('-', '')}`,
    createdMs: now(),
    model: llm.name,
    audioId: spoken && newAudioId(),
  }
  const voice = spoken && ((fragment: string, stop: AbortSignal) => tts.speak(fragment, spoken.voice, stop))
  const events = spokenReply((stop) => llm.reply(prompt, stop), voice, clock, signal)
  const withUsage = request.stream_options?.include_usage === true
  return { head, spoken, withUsage, events, clock, ignored: llm.ignores?.(prompt) ?? [] }
}

async function wholeReply(c: Context<AppEnv>, reply: Reply, audio: ChatAudio, options: ChatOptions): Promise<object> {
  const { head, spoken, events, clock } = reply
  const written = await collectReply(events, head)
  if (head.audioId !== null) audio.set(head.audioId, written.text)
  tellStages(c, clock)
  c.header(HEADERS.model, written.model)
  observe(c, clock, options)
  return completionBody(head, written, spoken?.format)
}

/** The first chunk is there before the status goes out, so that what fails before it has a status of its own. */
async function streamReply(
  c: Context<AppEnv>,
  { head, withUsage, events, clock }: Reply,
  audio: ChatAudio,
  options: ChatOptions,
  end: () => void,
): Promise<Response> {
  const requestId = c.get('requestId')
  const failed = (thrown: unknown): string => {
    const error = toAppError(thrown)
    if (error.code === 'cancelled') throw error
    options.log.warn({ requestId, code: error.code, err: error.cause ?? error }, 'reply broken off')
    return errorLine(error, requestId)
  }
  const onEnd = (text: string): void => {
    if (head.audioId !== null) audio.set(head.audioId, text)
    observe(c, clock, options)
  }
  const lines = endingWith(chunkLines(head, events, { withUsage, onEnd, failed }), end)
  const first = await lines.next()
  c.header('cache-control', 'no-cache')
  c.header('x-accel-buffering', 'no')
  const body = replyStream(c, startingWith(first, lines), options.log)
  return c.body(body, 200, { 'content-type': 'text/event-stream; charset=utf-8' })
}

/** Times to the metrics and the log: never what was said. */
function observe(c: Context<AppEnv>, clock: TurnClock, { log, metrics }: ChatOptions): void {
  observeStages(metrics, clock)
  const profile = { event: 'profile', ...clock.report() }
  log.info({ requestId: c.get('requestId'), ...profile }, '[PROFILING] chat completion')
}
