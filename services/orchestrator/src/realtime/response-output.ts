/** What a response gives, as it comes: the reply's item with its text and sound, and calls of functions. */
import { heardText, itemView } from './items.ts'
import type { AssistantItem, Item, Spoken } from './items.ts'
import { addItem } from './session-items.ts'
import { newId, send, step, steps, withItem } from './session-state.ts'
import type { Effect, LiveResponse, Message, SessionState, Step, TurnNews } from './session-state.ts'

type Sound = Extract<TurnNews, { type: 'audio' }>

const changed = (state: SessionState, change: (message: Message) => Partial<Message>): SessionState => {
  const { response } = state
  if (!response?.message) return state
  return { ...state, response: { ...response, message: { ...response.message, ...change(response.message) } } }
}

const isSpoken = ({ config }: LiveResponse): boolean => config.modality === 'audio'
const partOf = (response: LiveResponse, text: string): object =>
  isSpoken(response) ? { type: 'audio', transcript: text } : { type: 'text', text }
const placeOf = ({ id, message, outputs }: LiveResponse) => ({
  response_id: id,
  item_id: message?.id ?? '',
  output_index: outputs.length,
  content_index: 0 as const,
})

/** The reply's item, when it is not there yet. */
function opened(state: SessionState): Step {
  const { response } = state
  if (!response || response.message) return step(state)
  const [id, counted] = newId(state, 'item')
  const message = { id, text: '', spoken: [], sentMs: 0, firstAtMs: null }
  const open = { ...response, message }
  const item = assistantItem(open, message, 'in_progress', '')
  const { content_index, ...place } = placeOf(open)
  const added = send({ type: 'response.output_item.added', ...withoutItem(place), item: itemView(item) })
  const part = send({ type: 'response.content_part.added', ...place, content_index, part: partOf(open, '') })
  return steps(
    { ...counted, response: open },
    (last) => step(last, added),
    (last) => (response.isApart ? step(last) : addItem(last, item)),
    (last) => step(last, part),
  )
}

const withoutItem = ({ response_id, output_index }: { response_id: string; output_index: number }) => ({
  response_id,
  output_index,
})

const assistantItem = (
  response: LiveResponse,
  { id, spoken, text: whole }: Message,
  status: Item['status'],
  text: string,
): AssistantItem => ({
  id,
  type: 'message',
  role: 'assistant',
  status,
  text,
  isSound: isSpoken(response),
  written: whole,
  spoken,
})

export const takeText = (state: SessionState, delta: string): Step =>
  steps(state, opened, (open) => written(open, delta))

/** Sound of that fragment follows. */
export const takeFragment = (state: SessionState, { text, ms }: Spoken): Step =>
  steps(state, opened, (open) => step(changed(open, ({ spoken }) => ({ spoken: [...spoken, { text, ms }] }))))

export const takePiece = (state: SessionState, piece: Sound, nowMs: number): Step =>
  steps(state, opened, (open) => sounded(open, piece, nowMs))

function written(state: SessionState, delta: string): Step {
  const { response } = state
  if (!response) return step(state)
  const type = isSpoken(response) ? 'response.output_audio_transcript.delta' : 'response.output_text.delta'
  const more = changed(state, ({ text }) => ({ text: text + delta }))
  return step(more, send({ type, ...placeOf(response), delta }))
}

function sounded(state: SessionState, { delta, ms }: Sound, nowMs: number): Step {
  const { response } = state
  if (!response) return step(state)
  const more = changed(state, ({ sentMs, firstAtMs }) => ({ sentMs: sentMs + ms, firstAtMs: firstAtMs ?? nowMs }))
  return step(more, send({ type: 'response.output_audio.delta', ...placeOf(response), delta }))
}

/** Of a sound, what can have been played by now. */
export const playedMs = ({ sentMs, firstAtMs }: Message, nowMs: number): number =>
  firstAtMs === null ? 0 : Math.min(sentMs, nowMs - firstAtMs)

/** Ends the reply's item; when it was broken off, with what can have been heard. */
export function closeMessage(state: SessionState, isBroken: boolean, nowMs: number): Step {
  const { response } = state
  if (!response?.message) return step(state)
  const { message } = response
  const text = isBroken && isSpoken(response) ? heardText(message.spoken, playedMs(message, nowMs)) : message.text
  const item = assistantItem(response, message, isBroken ? 'incomplete' : 'completed', text)
  const { content_index, ...place } = placeOf(response)
  const at = { ...place, content_index }
  const previous = state.items[state.items.findIndex(({ id }) => id === item.id) - 1]?.id ?? null
  const done: Effect[] = isSpoken(response)
    ? [
        send({ type: 'response.output_audio.done', ...at }),
        send({ type: 'response.output_audio_transcript.done', ...at, transcript: text }),
      ]
    : [send({ type: 'response.output_text.done', ...at, text })]
  done.push(send({ type: 'response.content_part.done', ...at, part: partOf(response, text) }))
  if (!response.isApart)
    done.push(send({ type: 'conversation.item.done', previous_item_id: previous, item: itemView(item) }))
  done.push(send({ type: 'response.output_item.done', ...withoutItem(place), item: itemView(item) }))
  const finished = { ...response, message: null, outputs: [...response.outputs, item] }
  const playing = response.isApart ? state.playing : message
  return step({ ...withItem(state, item), response: finished, playing }, ...done)
}

/** Functions that the client is asked to call: each is an item of its own. */
export function takeCalls(state: SessionState, calls: Extract<TurnNews, { type: 'tool_calls' }>['calls']): Step {
  const each = calls.map((call) => (before: SessionState) => calledOne(before, call))
  return steps(state, (first) => closeMessage(first, false, 0), ...each)
}

function calledOne(state: SessionState, { id: callId, name, args }: { id: string; name: string; args: string }): Step {
  const { response } = state
  if (!response) return step(state)
  const [id, counted] = newId(state, 'item')
  const item: Item = { id, type: 'function_call', status: 'completed', callId, name, args }
  const at = { response_id: response.id, output_index: response.outputs.length }
  const place = { ...at, item_id: id, call_id: callId }
  const begun = itemView({ ...item, status: 'in_progress', args: '' })
  return steps(
    { ...counted, response: { ...response, outputs: [...response.outputs, item] } },
    (last) => step(last, send({ type: 'response.output_item.added', ...at, item: begun })),
    (last) => (response.isApart ? step(last) : addItem(last, item)),
    (last) =>
      step(
        last,
        send({ type: 'response.function_call_arguments.delta', ...place, delta: args }),
        send({ type: 'response.function_call_arguments.done', ...place, name, arguments: args }),
        send({ type: 'response.output_item.done', ...at, item: itemView(item) }),
      ),
  )
}
