/**
 * What `POST /v1/chat/completions` answers: OpenAI's body for a whole reply, and OpenAI's chunks for one that is still being
 * written. Both are made of the same events.
 */
import { errorBody } from '@hearth/shared/error-response'
import type { AppError } from '@hearth/shared/errors'
import { wavHeader } from '@hearth/shared/wav'
import { KEPT_MS } from './chat-audio.ts'
import type { ReplyEvent } from './spoken-reply.ts'
import type { ReplyPiece, ToolCall, Usage } from './stages/llm.ts'
import { toolCallBody } from './stages/tools.ts'

/** What is known of a reply before its first word. */
export type ReplyHead = {
  readonly id: string
  /** Milliseconds since 1970. */
  readonly createdMs: number
  /** Who would write the reply. */
  readonly model: string
  /** Null when the reply is not spoken. */
  readonly audioId: string | null
}

/** A whole reply. */
export type Written = {
  readonly text: string
  readonly model: string
  readonly ending: Ending
  readonly pcm: readonly Uint8Array[]
  readonly sampleRateHz: number
}

/** A reply that the model broke off counts as cut at a length: OpenAI has no other word for it. */
type Ending = {
  readonly reason: 'stop' | 'length' | 'tool_calls'
  readonly usage: Usage | undefined
  readonly calls: readonly ToolCall[]
}
const COMPLETE: Ending = { reason: 'stop', usage: undefined, calls: [] }

const endingOf = ({ usage, incomplete, isFull, toolCalls }: ReplyPiece, before: Ending): Ending => ({
  reason: toolCalls ? 'tool_calls' : incomplete || isFull ? 'length' : before.reason,
  usage: usage ?? before.usage,
  calls: toolCalls ?? before.calls,
})

/** OpenAI's form; undefined unless both counts are known. */
function usageBody({ promptTokens, replyTokens, cachedPromptTokens }: Usage = {}): object | undefined {
  if (promptTokens === undefined || replyTokens === undefined) return undefined
  return {
    prompt_tokens: promptTokens,
    completion_tokens: replyTokens,
    total_tokens: promptTokens + replyTokens,
    prompt_tokens_details: { cached_tokens: cachedPromptTokens ?? 0 },
  }
}

const SILENT_RATE_HZ = 24_000
const seconds = (ms: number): number => Math.floor(ms / 1000)

/** Reads all events. */
export async function collectReply(events: AsyncIterable<ReplyEvent>, head: ReplyHead): Promise<Written> {
  let { model } = head
  let ending: Ending = COMPLETE
  let text = ''
  let sampleRateHz = SILENT_RATE_HZ
  const pcm: Uint8Array[] = []
  for await (const event of events) {
    if (event.type === 'text') {
      text += event.text
      model = event.model
      ending = endingOf(event, ending)
    } else if (event.type === 'audio') {
      pcm.push(event.pcm)
      sampleRateHz = event.sampleRateHz
    }
  }
  return { text, model, ending, pcm, sampleRateHz }
}

/** OpenAI's `chat.completion`. */
export function completionBody(head: ReplyHead, written: Written, format: 'wav' | 'pcm16' = 'wav'): object {
  const { text, model } = written
  const audio = head.audioId !== null && {
    id: head.audioId,
    data: soundFile(written, format).toString('base64'),
    expires_at: seconds(head.createdMs + KEPT_MS),
    transcript: text,
  }
  const { calls, reason, usage } = written.ending
  const content = audio || (text === '' && calls.length > 0) ? null : text
  const told = calls.length > 0 && { tool_calls: calls.map(toolCallBody) }
  const message = { role: 'assistant', content, refusal: null, ...(audio && { audio }), ...told }
  return {
    id: head.id,
    object: 'chat.completion',
    created: seconds(head.createdMs),
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: reason }],
    usage: usageBody(usage),
  }
}

function soundFile({ pcm, sampleRateHz }: Written, format: 'wav' | 'pcm16'): Buffer {
  if (format === 'pcm16') return Buffer.concat(pcm)
  const byteCount = pcm.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([wavHeader({ sampleRateHz, sampleCount: byteCount / 2 }), ...pcm])
}

/**
 * OpenAI's `chat.completion.chunk`s as server-sent events, the first with the first event. `onEnd` hears the whole text before
 * the last chunk. A failure after the first event is told by `failed`, as an event of its own, which ends the stream without
 * `[DONE]`; one before it is thrown.
 */
export async function* chunkLines(
  head: ReplyHead,
  events: AsyncIterable<ReplyEvent>,
  {
    withUsage,
    onEnd,
    failed,
  }: { withUsage: boolean; onEnd: (text: string) => void; failed: (error: unknown) => string },
): AsyncGenerator<Uint8Array, void, void> {
  let { model } = head
  let ending = COMPLETE
  let text = ''
  let hasBegun = false
  const common = () => ({
    id: head.id,
    object: 'chat.completion.chunk',
    created: seconds(head.createdMs),
    model,
  })
  const line = (delta: object, finish: Ending['reason'] | null = null): Uint8Array =>
    encode({ ...common(), choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] })
  const opening = () =>
    line({ role: 'assistant', ...(head.audioId === null ? { content: '' } : { audio: { id: head.audioId } }) })
  try {
    for await (const event of events) {
      if (event.type === 'text') {
        model = event.model
        ending = endingOf(event, ending)
        if (event.text === '') continue
      }
      if (event.type === 'written') continue
      if (!hasBegun) yield opening()
      hasBegun = true
      if (event.type === 'text') text += event.text
      yield line(deltaOf(event, head.audioId !== null))
    }
  } catch (error) {
    if (!hasBegun) throw error
    yield bytes(failed(error))
    return
  }
  onEnd(text)
  if (!hasBegun) yield opening()
  if (head.audioId !== null) yield line({ audio: { expires_at: seconds(head.createdMs + KEPT_MS) } })
  for (const [index, call] of ending.calls.entries()) yield line({ tool_calls: [{ index, ...toolCallBody(call) }] })
  yield line({}, ending.reason)
  const usage = withUsage && usageBody(ending.usage)
  if (usage) yield encode({ ...common(), choices: [], usage })
  yield bytes('data: [DONE]\n\n')
}

function deltaOf(event: Exclude<ReplyEvent, { type: 'written' }>, isSpoken: boolean): object {
  if (event.type === 'audio') return { audio: { data: Buffer.from(event.pcm).toString('base64') } }
  return isSpoken ? { audio: { transcript: event.text } } : { content: event.text }
}

/** A failure in mid-stream, as OpenAI's clients raise it. */
export const errorLine = (error: AppError, requestId: string): string =>
  `data: ${JSON.stringify(errorBody(error, requestId))}\n\n`

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const encode = (chunk: object): Uint8Array => bytes(`data: ${JSON.stringify(chunk)}\n\n`)
