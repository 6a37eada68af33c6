/** The items of a conversation: what was said, what was answered, what functions were called and what they gave. */
import * as z from 'zod'
import type { Exchange } from '../turn-events.ts'
import type { ToolCall, ToolResult } from '../stages/llm.ts'

/** A fragment of a reply and how long its sound is: by these it is known how much of the reply was heard. */
export type Spoken = { readonly text: string; readonly ms: number }

type Status = 'in_progress' | 'completed' | 'incomplete'

export type Item =
  | {
      readonly id: string
      readonly type: 'message'
      readonly role: 'user' | 'system'
      readonly status: Status
      /** Of a sound, what was heard; null until it is known. */
      readonly text: string | null
      readonly isSound: boolean
    }
  | {
      readonly id: string
      readonly type: 'message'
      readonly role: 'assistant'
      readonly status: Status
      /** As far as it was heard. */
      readonly text: string
      readonly isSound: boolean
      /** All of it, heard or not. */
      readonly written: string
      readonly spoken: readonly Spoken[]
    }
  | {
      readonly id: string
      readonly type: 'function_call'
      readonly status: Status
      readonly callId: string
      readonly name: string
      readonly args: string
    }
  | {
      readonly id: string
      readonly type: 'function_call_output'
      readonly status: Status
      readonly callId: string
      readonly output: string
    }
export type AssistantItem = Extract<Item, { role: 'assistant' }>

const MAX_TEXT = 65_536
const Id = z.string().min(1).max(128)
const Part = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.enum(['input_text', 'text', 'output_text']), text: z.string().max(MAX_TEXT) }),
    z.object({
      type: z.enum(['input_audio', 'audio', 'output_audio']),
      audio: z.string().nullish(),
      transcript: z.string().max(MAX_TEXT).nullish(),
    }),
  ],
  'expected a part of text or audio: no other is supported',
)

/** An item as clients create it. */
export const GivenItem = z.discriminatedUnion(
  'type',
  [
    z.object({
      id: Id.nullish(),
      type: z.literal('message'),
      role: z.enum(['user', 'assistant', 'system', 'developer']),
      content: z.array(Part).min(1).max(16),
    }),
    z.object({
      id: Id.nullish(),
      type: z.literal('function_call'),
      call_id: Id.nullish(),
      name: z.string().min(1).max(64),
      arguments: z.string().max(MAX_TEXT),
    }),
    z.object({
      id: Id.nullish(),
      type: z.literal('function_call_output'),
      call_id: Id,
      output: z.string().max(MAX_TEXT),
    }),
  ],
  'expected message, function_call or function_call_output',
)
export type GivenItem = z.infer<typeof GivenItem>

/** The item of what a client gave. Its sound, if it brings one without words, is still to be heard. */
export function itemOf(given: GivenItem, id: string): { item: Item; sound: string | null } {
  const base = { id, status: 'completed' as const }
  if (given.type === 'function_call_output') {
    const { call_id: callId, output } = given
    return { item: { ...base, type: 'function_call_output', callId, output }, sound: null }
  }
  if (given.type === 'function_call') {
    const { call_id: callId, name, arguments: args } = given
    return { item: { ...base, type: 'function_call', callId: callId ?? id, name, args }, sound: null }
  }
  const words = given.content.map((part) => ('text' in part ? part.text : (part.transcript ?? ''))).join('\n')
  const text = words.trim()
  const sounds = given.content.flatMap((part) => ('audio' in part && part.audio ? [part.audio] : []))
  const isSound = given.content.some((part) => 'transcript' in part || 'audio' in part)
  if (given.role === 'assistant')
    return {
      item: { ...base, type: 'message', role: 'assistant', text, isSound, written: text, spoken: [] },
      sound: null,
    }
  const role = given.role === 'developer' ? 'system' : given.role
  const [sound = null] = text === '' && role === 'user' ? sounds : []
  return { item: { ...base, type: 'message', role, text: sound === null ? text : null, isSound }, sound }
}

/** The item as clients are told it. */
export function itemView(item: Item): object {
  const { id, status, type } = item
  const head = { id, object: 'realtime.item', type, status }
  if (type === 'function_call') return { ...head, call_id: item.callId, name: item.name, arguments: item.args }
  if (type === 'function_call_output') return { ...head, call_id: item.callId, output: item.output }
  const { role, text, isSound } = item
  const isOpen = role === 'assistant' && status === 'in_progress'
  const kind = role === 'assistant' ? 'output' : 'input'
  const part = isSound ? { type: `${kind}_audio`, transcript: text } : { type: `${kind}_text`, text }
  return { ...head, role, content: isOpen ? [] : [part] }
}

/** A conversation as the language model is told it: exchanges that are over, and what still waits for its answer. */
export type Conversation = {
  readonly history: readonly Exchange[]
  /** Words of the user since the last reply; '' when there are none. */
  readonly user: string
  /** What functions gave since the last reply. */
  readonly results: readonly ToolResult[]
  /** Of the client, beside the instructions. */
  readonly system: readonly string[]
}

type Open = { readonly user: string[]; readonly results: ToolResult[]; reply: string; readonly calls: ToolCall[] }

const begin = (): Open => ({ user: [], results: [], reply: '', calls: [] })

export function conversationOf(items: readonly Item[]): Conversation {
  const history: Exchange[] = []
  const system: string[] = []
  let open = begin()
  const close = () => {
    const { user, results, reply, calls } = open
    if (reply === '' && calls.length === 0) return
    const told = { ...(results.length > 0 && { results }), ...(calls.length > 0 && { calls }) }
    history.push({ user: user.join('\n'), reply, ...told })
    open = begin()
  }
  for (const item of items) {
    if (item.type === 'function_call') open.calls.push({ id: item.callId, name: item.name, args: item.args })
    else if (item.type === 'message' && item.role === 'assistant') open.reply = joined(open.reply, item.text)
    else if (item.type === 'message' && item.role === 'system') system.push(item.text ?? '')
    else {
      close()
      if (item.type === 'function_call_output') open.results.push({ id: item.callId, content: item.output })
      else if (item.text) open.user.push(item.text)
    }
  }
  close()
  return { history, system, user: open.user.join('\n'), results: open.results }
}

const joined = (before: string, text: string): string => [before, text].filter(Boolean).join(' ')

/**
 * As much of a reply as was heard in the first `endMs` of its sound, cut behind the last whole word. Inside a fragment words are taken to be
 * as long as they are written.
 */
export function heardText(spoken: readonly Spoken[], endMs: number): string {
  const heard: string[] = []
  let leftMs = endMs
  for (const { text, ms } of spoken) {
    if (leftMs <= 0) break
    heard.push(leftMs >= ms ? text : wholeWords(text, leftMs / ms))
    leftMs -= ms
  }
  return heard.join(' ').trim()
}

function wholeWords(text: string, share: number): string {
  const end = Math.floor(text.length * share)
  const words = text.slice(0, end)
  // Some languages are written without spaces.
  const isWhole = /\s/.test(text.charAt(end)) || !/\s/.test(text)
  return isWhole ? words.trim() : words.replace(/\S*$/, '').trim()
}
