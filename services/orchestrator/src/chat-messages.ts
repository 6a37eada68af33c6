/**
 * The messages of a chat request, first in words, then as the language model takes them. Whatever was sound on the way in (the
 * user's recordings, our own spoken replies) is words from here on.
 */
import { AppError } from '@hearth/shared/errors'
import { decodeBase64 } from './base64.ts'
import { isAudioId } from './chat-audio.ts'
import type { ChatAudio } from './chat-audio.ts'
import { invalid } from './chat-request.ts'
import type { ChatRequest } from './chat-request.ts'
import { requireSound } from './sound-input.ts'
import type { Prompt, ToolCall, ToolResult } from './stages/llm.ts'
import type { Exchange } from './turn-events.ts'

/** `calls` are the assistant's, `callId` a tool's: whose call it answers. */
export type Words = {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly text: string
  readonly calls?: readonly ToolCall[]
  readonly callId?: string
}
/** Gives the words of a whole file. */
export type Hear = (wav: Uint8Array) => Promise<string>

/** Of all messages together, in UTF-16 units. */
const MAX_CHARS = 262_144
const MAX_SOUNDS = 32
/**
 * The messages in words: sounds heard by `hear`, spoken replies looked up. Everything that can be refused is refused before
 * anything is heard. Throws `invalid_request`, `text_too_long`, what `requireSound` throws, what `hear` throws.
 */
export async function wordsOf({ messages }: ChatRequest, replies: ChatAudio, hear: Hear): Promise<Words[]> {
  const read = messages.map((message, at) => ({
    role: message.role === 'developer' ? ('system' as const) : message.role,
    parts: partsOf(message, `messages.${at}`, replies),
    ...callsOf(message, `messages.${at}`),
  }))
  const last = read.at(-1)?.role
  if (last !== 'user' && last !== 'tool')
    throw invalid('messages', "expected the last message to be the user's or a tool's")
  const all = read.flatMap(({ parts }) => parts)
  const sounds = all.filter((part) => 'wav' in part).length
  if (sounds > MAX_SOUNDS) throw invalid('messages', `expected at most ${MAX_SOUNDS} sounds, got ${sounds}`)
  const chars = all.reduce((sum, part) => sum + ('text' in part ? part.text.length : 0), 0)
  if (chars > MAX_CHARS)
    throw new AppError('text_too_long', `the messages may have ${MAX_CHARS} characters, got ${chars}`, {
      param: 'messages',
    })
  return Promise.all(
    read.map(async ({ parts, ...message }) => {
      const texts = await Promise.all(parts.map(async (part) => ('text' in part ? part.text : heard(part, hear))))
      return { ...message, text: texts.join('\n') }
    }),
  )
}

const heard = ({ wav, param }: { wav: Uint8Array; param: string }, hear: Hear): Promise<string> =>
  hear(wav).catch((error: unknown) => {
    throw about(param, error)
  })

type Message = ChatRequest['messages'][number]

function callsOf(
  { role, tool_calls: calls, tool_call_id: callId }: Message,
  param: string,
): Pick<Words, 'calls' | 'callId'> {
  if (calls && calls.length > 0 && role !== 'assistant')
    throw invalid(`${param}.tool_calls`, 'expected them in messages of the assistant only')
  if (role === 'tool' && !callId) throw invalid(`${param}.tool_call_id`, 'expected the id of the call that it answers')
  return {
    ...(calls &&
      calls.length > 0 && { calls: calls.map(({ id, function: { name, arguments: args } }) => ({ id, name, args })) }),
    ...(role === 'tool' && callId && { callId }),
  }
}

function partsOf(message: Message, param: string, replies: ChatAudio) {
  const parts = message.content.map((part, at) => {
    if (part.type === 'text') return { text: part.text }
    if (part.type === 'refusal') return { text: part.refusal }
    const where = `${param}.content.${at}`
    if (message.role !== 'user') throw invalid(where, `expected a text, as sound can only come from the user`)
    const field = `${where}.input_audio.data`
    return { wav: wavOf(part.input_audio.data, field), param: field }
  })
  if (!message.audio) return parts
  if (message.role !== 'assistant') throw invalid(`${param}.audio`, 'expected it in messages of the assistant only')
  const { id } = message.audio
  const text = isAudioId(id) ? replies.get(id) : undefined
  if (text === undefined)
    throw invalid(`${param}.audio.id`, 'expected a reply of the last hour, got one not known here')
  return parts.length > 0 ? parts : [{ text }]
}

function wavOf(base64: string, param: string): Uint8Array {
  const wav = decodeBase64(base64)
  if (!wav) throw invalid(param, 'expected base64 without line breaks')
  try {
    requireSound(wav)
  } catch (error) {
    throw about(param, error)
  }
  return wav
}

/** What is wrong with a file, told of the field that it came in here. */
function about(param: string, error: unknown): unknown {
  if (!(error instanceof AppError) || error.param !== 'file') return error
  const { code, message, details, retryAfterMs } = error
  return new AppError(code, message, {
    cause: error,
    param,
    details,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

/**
 * The messages as the language model takes them. Several of one role in a row become one; without a system message, `instructions` stand for it.
 * Throws `empty_text` when the user's last message has no words, `invalid_request` when calls and results don't fit together.
 */
export function promptOf(
  words: readonly Words[],
  instructions: string,
): Pick<Prompt, 'instructions' | 'history' | 'user' | 'results'> {
  const system = words.filter(({ role }) => role === 'system').map(({ text }) => text)
  const exchanges = exchangesOf(words.filter(({ role }) => role !== 'system'))
  requireResults(exchanges)
  const last = exchanges.at(-1)
  const user = last?.user ?? ''
  if (!last?.results && !/[\p{L}\p{N}\p{P}\p{S}]/u.test(user)) {
    const message = 'expected words in the last message: there is no visible character, or nobody spoke in the sound'
    throw new AppError('empty_text', message, { param: 'messages' })
  }
  const history = exchanges.slice(0, -1)
  return { instructions: system.join('\n\n') || instructions, history, user, results: last?.results }
}

/** An exchange begins with the user's words, or with results, that come after a reply. */
function exchangesOf(words: readonly Words[]): Exchange[] {
  const exchanges: { user: string; results?: ToolResult[]; reply: string; calls?: readonly ToolCall[] }[] = []
  let before: Words['role'] = 'assistant'
  for (const { role, text, calls, callId } of words) {
    if (
      exchanges.length === 0 ||
      (before === 'assistant' && role !== 'assistant') ||
      (before === 'tool' && role === 'user')
    )
      exchanges.push({ user: '', reply: '' })
    before = role
    const exchange = exchanges.at(-1)
    if (!exchange) continue
    if (role === 'user') exchange.user = joined(exchange.user, text)
    if (role === 'tool' && callId !== undefined)
      exchange.results = [...(exchange.results ?? []), { id: callId, content: text }]
    if (role !== 'assistant') continue
    exchange.reply = joined(exchange.reply, text)
    if (calls) exchange.calls = [...(exchange.calls ?? []), ...calls]
  }
  return exchanges
}

/** Each result is one of a call right before it, and no call is without its result. */
function requireResults(exchanges: readonly Exchange[]): void {
  for (const [at, { results = [] }] of exchanges.entries()) {
    const calls = exchanges[at - 1]?.calls ?? []
    const answered = new Set(results.map(({ id }) => id))
    if (results.some(({ id }) => !calls.some((call) => call.id === id)))
      throw invalid('messages', 'expected each tool message to answer a call of the assistant message before it')
    if (calls.some(({ id }) => !answered.has(id)))
      throw invalid('messages', 'expected a tool message for each of the tool_calls before it')
  }
}

const joined = (before: string, text: string): string => (before === '' ? text : `${before}\n${text}`)
