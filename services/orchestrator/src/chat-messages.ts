/**
 * The messages of a chat request, first in words, then as the language model takes them. Whatever was sound on the way in (the
 * user's recordings, our own spoken replies) is words from here on.
 */
import { AppError } from '@hearth/shared/errors'
import { decodeWav } from '@hearth/shared/wav'
import { isAudioId } from './chat-audio.ts'
import type { ChatAudio } from './chat-audio.ts'
import { invalid } from './chat-request.ts'
import type { ChatRequest } from './chat-request.ts'
import type { Prompt } from './stages/llm.ts'
import type { Exchange } from './turn-events.ts'

export type Words = { readonly role: 'system' | 'user' | 'assistant'; readonly text: string }
/** Gives the words of a whole WAV file. */
export type Hear = (wav: Uint8Array) => Promise<string>

/** Of all messages together, in UTF-16 units. */
const MAX_CHARS = 262_144
const MAX_SOUNDS = 32
/** Decoding whole files of many minutes would hold up the event loop; a file that begins as sound is left to the stt service. */
const LOOKED_AT_BYTES = 1_048_576

/**
 * The messages in words: sounds heard by `hear`, spoken replies looked up. Everything that can be refused is refused before
 * anything is heard. Throws `invalid_request`, `text_too_long`, what `decodeWav` throws, what `hear` throws.
 */
export async function wordsOf({ messages }: ChatRequest, replies: ChatAudio, hear: Hear): Promise<Words[]> {
  const read = messages.map((message, at) => ({
    role: message.role === 'developer' ? ('system' as const) : message.role,
    parts: partsOf(message, `messages.${at}`, replies),
  }))
  if (read.at(-1)?.role !== 'user') throw invalid('messages', "expected the last message to be the user's")
  const all = read.flatMap(({ parts }) => parts)
  const sounds = all.filter((part) => 'wav' in part).length
  if (sounds > MAX_SOUNDS) throw invalid('messages', `expected at most ${MAX_SOUNDS} sounds, got ${sounds}`)
  const chars = all.reduce((sum, part) => sum + ('text' in part ? part.text.length : 0), 0)
  if (chars > MAX_CHARS)
    throw new AppError('text_too_long', `the messages may have ${MAX_CHARS} characters, got ${chars}`, {
      param: 'messages',
    })
  return Promise.all(
    read.map(async ({ role, parts }) => {
      const texts = await Promise.all(parts.map(async (part) => ('text' in part ? part.text : heard(part, hear))))
      return { role, text: texts.join('\n') }
    }),
  )
}

const heard = ({ wav, param }: { wav: Uint8Array; param: string }, hear: Hear): Promise<string> =>
  hear(wav).catch((error: unknown) => {
    throw about(param, error)
  })

type Message = ChatRequest['messages'][number]

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
  const wav = Buffer.from(base64, 'base64')
  // Node's decoder skips what is not base64; a regular expression would need a stack as long as the file.
  const length = base64.endsWith('==') ? base64.length - 2 : base64.endsWith('=') ? base64.length - 1 : base64.length
  if (wav.length !== Math.floor((length * 3) / 4)) throw invalid(param, 'expected base64 without line breaks')
  try {
    decodeWav(wav.subarray(0, LOOKED_AT_BYTES))
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
 * The messages as the language model takes them. Several of one role in a row become one; without a system message,
 * `instructions` stand for it. Throws `empty_text` when the user's last message has no words.
 */
export function promptOf(
  words: readonly Words[],
  instructions: string,
): Pick<Prompt, 'instructions' | 'history' | 'user'> {
  const system = words.filter(({ role }) => role === 'system').map(({ text }) => text)
  const spoken = words.filter(({ role }) => role !== 'system')
  const start = spoken.findLastIndex(({ role }) => role === 'assistant') + 1
  const user = joined(spoken.slice(start))
  if (!/[\p{L}\p{N}\p{P}\p{S}]/u.test(user)) {
    const message = 'expected words in the last message: there is no visible character, or nobody spoke in the sound'
    throw new AppError('empty_text', message, { param: 'messages' })
  }
  return { instructions: system.join('\n\n') || instructions, history: exchanges(spoken.slice(0, start)), user }
}

function exchanges(words: readonly Words[]): Exchange[] {
  const found: { user: Words[]; reply: Words[] }[] = []
  let before: Words['role'] = 'assistant'
  for (const message of words) {
    if (message.role === 'user' ? before === 'assistant' : found.length === 0) found.push({ user: [], reply: [] })
    found.at(-1)?.[message.role === 'user' ? 'user' : 'reply'].push(message)
    before = message.role
  }
  return found.map(({ user, reply }) => ({ user: joined(user), reply: joined(reply) }))
}

const joined = (words: readonly Words[]): string => words.map(({ text }) => text).join('\n')
