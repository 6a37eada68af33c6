/**
 * The conversation as the page shows it: a pure step from what happened to what is seen, and to what has to be done. The one idea: what is
 * said has one entry under the id of its item, from the first word that is heard to the last, whichever event comes first.
 */
import type { ModelStatus } from '@hearth/shared/api'
import type { Item, ServerEvent, TurnReport } from './server-events.ts'

export type Entry = {
  readonly id: string
  readonly role: 'user' | 'assistant'
  readonly text: string
  /** `cut`: somebody spoke in between. */
  readonly state: 'growing' | 'done' | 'cut' | 'failed'
  /** What went wrong, for the reader; '' for nothing. */
  readonly note: string
  /** Of a reply, once it is known. */
  readonly responseId: string | null
  readonly turn: TurnReport | null
}

export type Phase = 'idle' | 'hearing' | 'thinking' | 'speaking'

export type Conversation = {
  readonly entries: readonly Entry[]
  /** The reply that is being made; null between replies. */
  readonly responseId: string | null
  /** Its sound is no longer wanted. */
  readonly mutedId: string | null
  readonly isHearing: boolean
  readonly isPlaying: boolean
}

/** What the page itself tells. */
export type PageEvent =
  | { readonly type: 'page.typed'; readonly id: string; readonly text: string }
  | { readonly type: 'page.recording'; readonly isRecording: boolean }
  | { readonly type: 'page.playing'; readonly isPlaying: boolean }
  | { readonly type: 'page.stopped' }
  | { readonly type: 'page.disconnected' }
  | { readonly type: 'page.opened'; readonly exchanges: readonly { readonly user: string; readonly reply: string }[] }

export type Effect =
  | { readonly type: 'play'; readonly itemId: string; readonly audio: string }
  /** Stop the sound at once and tell the server how much was heard. */
  | { readonly type: 'interrupt' }
  /** Somebody began to speak, or stopped, at that place of all the sound that was sent. */
  | { readonly type: 'speech began' | 'speech ended'; readonly atMs: number }
  | { readonly type: 'report'; readonly turn: TurnReport }
  | { readonly type: 'models'; readonly models: readonly ModelStatus[] }
  | { readonly type: 'notice'; readonly text: string }
  /** For those who don't see the page: a finished text. */
  | { readonly type: 'announce'; readonly role: Entry['role']; readonly text: string }

export type Step = { readonly conversation: Conversation; readonly effects: readonly Effect[] }

export const EMPTY: Conversation = { entries: [], responseId: null, mutedId: null, isHearing: false, isPlaying: false }

export function phaseOf({ isHearing, isPlaying, responseId }: Conversation): Phase {
  if (isHearing) return 'hearing'
  if (isPlaying) return 'speaking'
  return responseId === null ? 'idle' : 'thinking'
}

/** One event further. Events that the page doesn't know change nothing. */
export function next(now: Conversation, event: ServerEvent | PageEvent): Step {
  switch (event.type) {
    case 'page.opened':
      return only({ ...EMPTY, entries: event.exchanges.flatMap(entriesOf) })
    case 'page.typed':
      return only(withEntry(now, event.id, { text: event.text, state: 'done' }))
    case 'page.recording':
      return event.isRecording ? interrupting({ ...now, isHearing: true }) : only({ ...now, isHearing: false })
    case 'page.playing':
      return only({ ...now, isPlaying: event.isPlaying })
    case 'page.stopped':
      return interrupting(now)
    case 'page.disconnected':
      return only({ ...settled(now), responseId: null, isHearing: false })
    case 'input_audio_buffer.speech_started':
      return beganSpeaking(now, event.item_id, event.audio_start_ms)
    case 'input_audio_buffer.speech_stopped':
      return {
        conversation: { ...now, isHearing: false },
        effects: [{ type: 'speech ended', atMs: event.audio_end_ms }],
      }
    case 'input_audio_buffer.committed':
      return only(withEntry(now, event.item_id, {}))
    case 'conversation.item.input_audio_transcription.delta':
      return only(withEntry(now, event.item_id, { text: textOf(now, event.item_id) + event.delta }))
    case 'conversation.item.input_audio_transcription.completed':
      return heard(now, event.item_id, event.transcript.trim())
    case 'conversation.item.input_audio_transcription.failed':
      return only(
        withEntry(now, event.item_id, { state: 'failed', note: event.error.message ?? 'It could not be heard.' }),
      )
    case 'response.created':
      return only({ ...now, responseId: event.response.id })
    case 'response.output_item.added':
      return only(event.item.type === 'message' ? withReply(now, event.response_id, event.item.id, '') : now)
    case 'response.output_item.done':
      return only(cutTo(now, event.item))
    case 'response.output_audio_transcript.delta':
    case 'response.output_text.delta':
      return only(withReply(now, event.response_id, event.item_id, event.delta))
    case 'response.output_audio.delta':
      return event.response_id === now.mutedId
        ? only(now)
        : { conversation: now, effects: [{ type: 'play', itemId: event.item_id, audio: event.delta }] }
    case 'response.done':
      return finished(now, event.response)
    case 'hearth.loading':
      return { conversation: now, effects: [{ type: 'models', models: event.models }] }
    case 'hearth.turn':
      return reported(now, event.response_id, event)
    case 'error':
      return { conversation: now, effects: [{ type: 'notice', text: event.error.message }] }
    default:
      return only(now)
  }
}

const UNANSWERED = 'The connection broke before this was answered.'

const only = (conversation: Conversation): Step => ({ conversation, effects: [] })

const NEW: Omit<Entry, 'id'> = { role: 'user', text: '', state: 'growing', note: '', responseId: null, turn: null }

const textOf = ({ entries }: Conversation, id: string): string => entries.find((entry) => entry.id === id)?.text ?? ''

function withEntry(now: Conversation, id: string, change: Partial<Entry>): Conversation {
  const known = now.entries.some((entry) => entry.id === id)
  const entries = known
    ? now.entries.map((entry) => (entry.id === id ? { ...entry, ...change } : entry))
    : [...now.entries, { ...NEW, id, ...change }]
  return { ...now, entries }
}

const withReply = (now: Conversation, responseId: string, id: string, delta: string): Conversation =>
  withEntry(now, id, { role: 'assistant', responseId, text: textOf(now, id) + delta })

function beganSpeaking(now: Conversation, itemId: string, atMs: number): Step {
  const { conversation, effects } = interrupting({ ...withEntry(now, itemId, {}), isHearing: true })
  return { conversation, effects: [...effects, { type: 'speech began', atMs }] }
}

/** What nobody said is no entry. */
function heard(now: Conversation, id: string, text: string): Step {
  if (text === '') return only({ ...now, entries: now.entries.filter((entry) => entry.id !== id) })
  return {
    conversation: withEntry(now, id, { text, state: 'done' }),
    effects: [{ type: 'announce', role: 'user', text }],
  }
}

/** Of a reply that was broken off, the server tells what can have been heard. */
function cutTo(now: Conversation, { id, status, content = [] }: Item): Conversation {
  if (status !== 'incomplete' || !now.entries.some((entry) => entry.id === id)) return now
  return withEntry(now, id, {
    state: 'cut',
    text: content.map(({ text, transcript }) => transcript ?? text ?? '').join(''),
  })
}

/** Speech, or a press of the button, ends the reply that is being made or heard. */
function interrupting(now: Conversation): Step {
  if (now.responseId === null && !now.isPlaying) return only(now)
  const last = now.entries.findLast(({ role }) => role === 'assistant')
  const isIts = last !== undefined && (now.isPlaying || last.responseId === now.responseId)
  const cut = isIts ? withEntry(now, last.id, { state: 'cut' }) : now
  return { conversation: { ...cut, mutedId: now.responseId, isPlaying: false }, effects: [{ type: 'interrupt' }] }
}

function finished(
  now: Conversation,
  { id, status, status_details: details }: Extract<ServerEvent, { type: 'response.done' }>['response'],
): Step {
  const state = status === 'cancelled' ? 'cut' : status === 'failed' ? 'failed' : 'done'
  const note = details?.error?.message ?? ''
  const entries = now.entries.map((entry) =>
    entry.responseId === id && entry.state === 'growing' ? ({ ...entry, state, note } as const) : entry,
  )
  const reply = entries.findLast(({ responseId }) => responseId === id)
  const conversation = { ...now, entries, responseId: now.responseId === id ? null : now.responseId }
  if (!reply) return { conversation, effects: note === '' ? [] : [{ type: 'notice', text: note }] }
  return { conversation, effects: state === 'done' ? [{ type: 'announce', role: 'assistant', text: reply.text }] : [] }
}

function reported(now: Conversation, responseId: string, turn: TurnReport): Step {
  const reply = now.entries.findLast((entry) => entry.responseId === responseId)
  return { conversation: reply ? withEntry(now, reply.id, { turn }) : now, effects: [{ type: 'report', turn }] }
}

/** What was growing will not grow any more, and what was not answered yet will not be. */
function settled(now: Conversation): Conversation {
  const entries = now.entries
    .filter(({ state, text }) => state !== 'growing' || text !== '')
    .map((entry) => (entry.state === 'growing' ? { ...entry, state: 'cut' as const } : entry))
  const last = entries.at(-1)
  const settledNow = { ...now, entries }
  return last?.role === 'user' ? withEntry(settledNow, last.id, { state: 'failed', note: UNANSWERED }) : settledNow
}

/** Kept exchanges have no ids of items any more. */
function entriesOf({ user, reply }: { user: string; reply: string }, at: number): Entry[] {
  const done = { ...NEW, state: 'done' } as const
  const said: Entry[] = user === '' ? [] : [{ ...done, id: `kept-${at}-user`, text: user }]
  return reply === '' ? said : [...said, { ...done, id: `kept-${at}-reply`, role: 'assistant', text: reply }]
}
