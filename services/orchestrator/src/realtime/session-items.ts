/** What clients do to the items of the conversation, and how items come into it. */
import type { ClientEventOf } from './client-events.ts'
import { heardText, itemOf, itemView } from './items.ts'
import type { Item } from './items.ts'
import { newId, refuse, send, step, withItem } from './session-state.ts'
import type { SessionState, Step } from './session-state.ts'

/** Of one conversation: no prompt reaches back that far. */
const MOST = { items: 2000, characters: 4_194_304 }

/** Behind all others. */
export function addItem(state: SessionState, item: Item): Step {
  return insertItem(state, item, state.items.length)
}

function insertItem(state: SessionState, item: Item, at: number): Step {
  const previous_item_id = state.items[at - 1]?.id ?? null
  const added = { previous_item_id, item: itemView(item) }
  const effects = [send({ type: 'conversation.item.added', ...added })]
  if (item.status !== 'in_progress') effects.push(send({ type: 'conversation.item.done', ...added }))
  return step({ ...state, items: newest(state.items.toSpliced(at, 0, item)) }, ...effects)
}

function newest(items: readonly Item[]): readonly Item[] {
  let characters = items.reduce((sum, item) => sum + sizeOf(item), 0)
  let from = Math.max(0, items.length - MOST.items)
  for (; characters > MOST.characters && from < items.length - 1; from++) characters -= sizeOf(items[from])
  return items.slice(from)
}

function sizeOf(item: Item | undefined): number {
  if (item?.type === 'message') return (item.text?.length ?? 0) + ('written' in item ? item.written.length : 0)
  return (item?.type === 'function_call' ? item.args : item?.output)?.length ?? 0
}

export function createItem(state: SessionState, event: ClientEventOf<'conversation.item.create'>): Step {
  const { event_id: eventId, previous_item_id: previous, item: given } = event
  const [madeUp, counted] = newId(state, 'item')
  const id = given.id ?? madeUp
  if (state.items.some((item) => item.id === id))
    return refuse(state, eventId, 'item_already_exists', `there is already an item ${id}`)
  const at = previous == null ? state.items.length : previous === 'root' ? 0 : indexOf(state, previous) + 1
  if (previous != null && previous !== 'root' && at === 0) return noSuchItem(state, eventId, previous)
  const { item, sound } = itemOf(given, id)
  const added = insertItem(counted, item, at)
  const hear = sound === null ? [] : [{ type: 'hear-given', itemId: id, base64: sound } as const]
  return step(added.state, ...added.effects, ...hear)
}

export function deleteItem(state: SessionState, event: ClientEventOf<'conversation.item.delete'>): Step {
  const { item_id } = event
  if (indexOf(state, item_id) === -1) return noSuchItem(state, event.event_id, item_id)
  const items = state.items.filter(({ id }) => id !== item_id)
  return step({ ...state, items }, send({ type: 'conversation.item.deleted', item_id }))
}

export function retrieveItem(state: SessionState, event: ClientEventOf<'conversation.item.retrieve'>): Step {
  const item = state.items.find(({ id }) => id === event.item_id)
  if (!item) return noSuchItem(state, event.event_id, event.item_id)
  return step(state, send({ type: 'conversation.item.retrieved', item: itemView(item) }))
}

/** What the client has really played is the truth about what was heard. */
export function truncateItem(state: SessionState, event: ClientEventOf<'conversation.item.truncate'>): Step {
  const { event_id: eventId, item_id, content_index, audio_end_ms } = event
  const item = state.items.find(({ id }) => id === item_id)
  if (!item) return noSuchItem(state, eventId, item_id)
  const isReply = item.type === 'message' && item.role === 'assistant' && item.isSound
  if (!isReply || item.status === 'in_progress' || content_index !== 0)
    return refuse(state, eventId, 'invalid_truncation', 'expected the first part of a finished spoken reply')
  const cut = withItem(state, { ...item, text: heardText(item.spoken, audio_end_ms) })
  const playing = state.playing?.id === item_id ? null : state.playing
  return step({ ...cut, playing }, send({ type: 'conversation.item.truncated', item_id, content_index, audio_end_ms }))
}

const indexOf = (state: SessionState, wanted: string): number => state.items.findIndex(({ id }) => id === wanted)

const noSuchItem = (state: SessionState, eventId: string | null | undefined, id: string): Step =>
  refuse(state, eventId, 'item_not_found', `there is no item ${id}`)
