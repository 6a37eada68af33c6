/** A response from its order to its end, as OpenAI's protocol tells it: created, items and their parts, deltas, done. */
import type { Usage } from '../stages/llm.ts'
import type { ClientEventOf, ResponseCreate } from './client-events.ts'
import { conversationOf, itemOf } from './items.ts'
import type { Item } from './items.ts'
import { closeMessage, playedMs, takeCalls, takeFragment, takePiece, takeText } from './response-output.ts'
import { responseView, tellCreated } from './response-view.ts'
import type { Outcome } from './response-view.ts'
import type { TurnTold } from './server-events.ts'
import { patchReply } from './session-config.ts'
import { newId, refuse, send, step, steps } from './session-state.ts'
import type { Effect, LiveResponse, Order, SessionState, Step, TurnNews } from './session-state.ts'

/** A client that is told to play on has a little sound in its buffer: a truncation may come that late. */
const LATE_MS = 1500

type Wanted = Partial<Pick<LiveResponse, 'isTold' | 'isApart' | 'config' | 'metadata'>> &
  Partial<Pick<Order, 'items' | 'soundOf' | 'recite'>>

/** Orders a turn. What the exchange before it came to is settled now. */
export function beginResponse(state: SessionState, wanted: Wanted): Step {
  const [id, counted] = newId(state, 'resp')
  const { isTold = true, isApart = false, config = state.config.reply, metadata = null } = wanted
  const { items = state.items, soundOf = null, recite = null } = wanted
  const response = { id, isTold, isApart, config, metadata, message: null, outputs: [] }
  const order = { responseId: id, config, items, soundOf, recite, isApart }
  const told = isTold ? [tellCreated(response)] : []
  // The conversation's own reply may still be heard.
  if (isApart) return step({ ...counted, response }, ...told, { type: 'respond', order })
  const begun = { ...counted, response, lastResponse: id, isDue: false, playing: null, interrupted: null }
  return steps(begun, settle, (settled) => step(settled, ...told, { type: 'respond', order }))
}

export function createResponse(state: SessionState, event: ClientEventOf<'response.create'>): Step {
  const { event_id: eventId, response } = event
  const options: ResponseCreate = response ?? {}
  if (state.config.type === 'transcription')
    return refuse(state, eventId, 'invalid_session', 'a transcription session has no responses')
  const { response: live } = state
  // Of one that is not told yet nobody knows: what is asked for now answers that as well.
  if (live && (live.isTold || options.conversation === 'none')) {
    const message = `the conversation already has an active response, ${live.id}: wait for its end or cancel it`
    return refuse(state, eventId, 'conversation_already_has_active_response', message)
  }
  const config = patchReply(state.config.reply, options)
  const wanted = { isApart: options.conversation === 'none', config, metadata: options.metadata ?? null }
  const named = itemsFor(state, options)
  if (typeof named === 'string') return refuse(state, eventId, 'item_not_found', `there is no item ${named}`)
  const { items, state: counted, hear } = named
  const last = items.at(-1)
  const isSpoken = last?.type === 'message' && last.role === 'user' && last.isSound && last.text === null
  return steps(
    { ...counted, response: null },
    (before) => step(before, ...(live ? [{ type: 'stop', responseId: live.id } as const] : []), ...hear),
    (before) => beginResponse(before, { ...wanted, items, soundOf: isSpoken ? last.id : null }),
  )
}

type Named = { readonly items: readonly Item[]; readonly state: SessionState; readonly hear: readonly Effect[] }

/** The conversation, or the items that the response brings itself; the id of one that there is not. */
function itemsFor(state: SessionState, { input }: ResponseCreate): Named | string {
  if (!input) return { items: state.items, state, hear: [] }
  const items: Item[] = []
  const hear: Effect[] = []
  let counted = state
  for (const given of input) {
    if (given.type === 'item_reference') {
      const known = state.items.find(({ id }) => id === given.id)
      if (!known) return given.id
      items.push(known)
    } else {
      const [id, next] = newId(counted, 'item')
      counted = next
      // Never an id of the client's: the words of its sound are not to become those of an item in the conversation.
      const { item, sound } = itemOf(given, id)
      items.push(item)
      if (sound !== null) hear.push({ type: 'hear-given', itemId: id, base64: sound })
    }
  }
  return { items, state: counted, hear }
}

export function cancelResponse(state: SessionState, event: ClientEventOf<'response.cancel'>, nowMs: number): Step {
  const { response } = state
  const isOther = event.response_id != null && event.response_id !== response?.id
  if (!response || isOther)
    return refuse(
      state,
      event.event_id,
      'response_cancel_not_active',
      'Cancellation failed: there is no such active response',
    )
  // What the client has silenced does not go on when somebody coughs.
  const silenced = (last: SessionState) => step({ ...last, playing: null, interrupted: null })
  // One that waits for its words is announced, so that its end can be told: OpenAI's is, at the commit.
  return steps(state, announce, (live) => breakOff(live, 'client_cancelled', nowMs), silenced, answerDue)
}

/** What was said while another response was live waits for its end. */
const answerDue = (state: SessionState): Step =>
  state.isDue && !state.response && !state.utterance ? beginResponse(state, {}) : step(state)

/** Ends the live response where it is: nothing more of it is sent, and its work stops. */
export function breakOff(state: SessionState, reason: 'turn_detected' | 'client_cancelled', nowMs: number): Step {
  const { response } = state
  if (!response) return step(state)
  const stopped: Effect = { type: 'stop', responseId: response.id }
  if (!response.isTold) return step({ ...state, response: null }, stopped)
  const ended = finish(state, { status: 'cancelled', reason }, undefined, nowMs)
  return step(ended.state, stopped, ...ended.effects)
}

/** What a turn tells; from any but the live one nothing is heard any more. */
export function takeNews(state: SessionState, responseId: string, news: TurnNews, nowMs: number): Step {
  const { response } = state
  if (news.type === 'report') return tellReport(state, responseId, news.told)
  if (response?.id !== responseId) return step(state)
  if (!response.isTold && news.type !== 'transcript')
    return steps(state, announce, (told) => takeNews(told, responseId, news, nowMs))
  switch (news.type) {
    case 'transcript':
      return takeTranscript(state, response, news.text)
    case 'reply.delta':
      return takeText(state, news.text)
    case 'fragment':
      return takeFragment(state, news)
    case 'audio':
      return takePiece(state, news, nowMs)
    case 'tool_calls':
      return takeCalls(state, news.calls)
    case 'done': {
      const end = (last: SessionState) => finish(last, outcomeOf(news.ending), news.ending.usage, nowMs)
      return steps(state, end, (ended) => tellReport(ended, responseId, news.told))
    }
    default:
      return finish(state, { status: 'failed', error: news.fault }, undefined, nowMs)
  }
}

/** Of what the client never heard of nothing is told. */
const tellReport = (state: SessionState, response_id: string, told: TurnTold): Step =>
  state.doneResponse === response_id ? step(state, send({ type: 'hearth.turn', response_id, ...told })) : step(state)

/** A reply that nobody asked for by name is announced once it is known that something was said. */
function takeTranscript(state: SessionState, response: LiveResponse, transcript: string): Step {
  if (response.isTold) return step(state)
  if (transcript !== '') return announce(state)
  const stopped: Effect = { type: 'stop', responseId: response.id }
  return steps({ ...state, response: null }, (silent) => step(silent, stopped), resume, answerDue)
}

function announce(state: SessionState): Step {
  const { response } = state
  if (!response || response.isTold) return step(state)
  return step({ ...state, interrupted: null, response: { ...response, isTold: true } }, tellCreated(response))
}

/** Nobody spoke after all: what was broken off goes on from where it was heard to. */
export function resume(state: SessionState): Step {
  const { interrupted, items, response } = state
  if (!interrupted || response) return step(state)
  const at = items.findIndex(({ id }) => id === interrupted.itemId)
  const item = items[at]
  const isLast = !items.slice(at + 1).some((one) => one.type === 'message' && one.role === 'user' && one.text !== '')
  if (isLast && item?.type === 'message' && item.role === 'assistant') {
    const rest = restOf(item.written, item.text)
    return rest === '' ? step({ ...state, interrupted: null }) : beginResponse(state, { recite: rest })
  }
  const { user, results } = conversationOf(items)
  return user === '' && results.length === 0 ? step(state) : beginResponse(state, {})
}

/** What is said may leave out a few characters of what is written. */
const SKIPPED_CHARS = 16

/** What of a text comes behind its beginning, which may have other white space. */
function restOf(written: string, heard: string): string {
  let at = 0
  for (const character of heard.replaceAll(/\s/g, '')) {
    const skipped = written.slice(at, at + SKIPPED_CHARS).indexOf(character)
    if (skipped !== -1) at += skipped + character.length
  }
  return written.slice(at).trim()
}

function finish(state: SessionState, outcome: Outcome, usage: Usage | undefined, nowMs: number): Step {
  const isBroken = outcome.status === 'cancelled' || outcome.status === 'failed'
  return steps(
    state,
    (last) => closeMessage(last, isBroken, nowMs),
    (last) => close(last, outcome, usage, nowMs),
    answerDue,
  )
}

function close(state: SessionState, outcome: Outcome, usage: Usage | undefined, nowMs: number): Step {
  const { response, playing } = state
  if (!response) return step(state)
  const done = send({ type: 'response.done', response: responseView(response, outcome, usage) })
  const over = { ...state, response: null, doneResponse: response.id }
  if (response.isApart) return step(over, done)
  const leftMs = playing ? Math.max(0, playing.sentMs - playedMs(playing, nowMs)) : 0
  const unsettled = response.outputs.at(-1)?.id ?? state.unsettled
  const { id: responseId } = response
  const alarms: Effect[] = [{ type: 'alarm', kind: 'played', responseId, afterMs: leftMs + LATE_MS }]
  const { turnDetection } = state.config
  if (turnDetection?.type === 'server_vad' && turnDetection.idle_timeout_ms !== null)
    alarms.push({ type: 'alarm', kind: 'idle', responseId, afterMs: leftMs + turnDetection.idle_timeout_ms })
  return step({ ...over, unsettled }, done, ...alarms)
}

/** What the last exchange came to goes into the session of Hearth: as much of the reply as was heard. */
export function settle(state: SessionState): Step {
  const { items, unsettled, settled } = state
  const at = items.findIndex(({ id }) => id === unsettled)
  // A second reply to one question is not to bring the first along.
  const from = items.findIndex(({ id }) => id === settled) + 1
  const exchange = conversationOf(items.slice(from, at + 1)).history.at(-1)
  const item = items[at]
  const isNothing = item?.type === 'message' && item.text === ''
  if (!exchange || isNothing) return step({ ...state, unsettled: null })
  return step({ ...state, unsettled: null, settled: unsettled }, { type: 'settle', exchange })
}

const outcomeOf = ({ isFull }: { isFull?: true }): Outcome =>
  isFull ? { status: 'incomplete', reason: 'max_output_tokens' } : { status: 'completed' }
