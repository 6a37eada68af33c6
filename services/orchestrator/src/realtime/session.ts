/**
 * A realtime session as a pure function: its state and an event in, the next state out, and what is to be done. It is listening, hearing,
 * thinking, speaking or closed (`phaseOf`). No clock, no socket, no model: session-run.ts has those.
 */
import { hearAlike, patchConfig, sessionView } from './session-config.ts'
import {
  clearSound,
  commitSound,
  fallSilent,
  takeCaption,
  takeHeard,
  takeSpeech,
  takeUnheard,
} from './session-input.ts'
import { createItem, deleteItem, retrieveItem, truncateItem } from './session-items.ts'
import { breakOff, cancelResponse, createResponse, settle, takeNews } from './session-response.ts'
import { refuse, send, step, steps, tellFault } from './session-state.ts'
import type { SessionEvent, SessionState, Step } from './session-state.ts'

type ClientEvent = Extract<SessionEvent, { type: 'client' }>['event']

/** `nowMs` is any clock that only goes forward. After `closed` nothing happens any more. */
export function next(state: SessionState, event: SessionEvent, nowMs: number): Step {
  if (state.isClosed) return step(state)
  switch (event.type) {
    case 'client':
      return takeClient(state, event.event, nowMs)
    case 'received':
      return step({ ...state, sound: { ...state.sound, receivedMs: event.totalMs } })
    case 'speech':
      return takeSpeech(state, event, nowMs)
    case 'caption':
      return takeCaption(state, event.delta)
    case 'heard':
      return takeHeard(state, event)
    case 'unheard':
      return takeUnheard(state, event)
    case 'turn':
      return takeNews(state, event.responseId, event.news, nowMs)
    case 'alarm':
      return ring(state, event)
    case 'fault':
      return step(state, tellFault(event.fault, event.eventId))
    default:
      return close(state, nowMs)
  }
}

function takeClient(state: SessionState, event: ClientEvent, nowMs: number): Step {
  switch (event.type) {
    case 'session.update':
      return update(state, event)
    case 'input_audio_buffer.commit':
      return commitSound(state, event)
    case 'input_audio_buffer.clear':
      return clearSound(state)
    case 'conversation.item.create':
      return createItem(state, event)
    case 'conversation.item.delete':
      return deleteItem(state, event)
    case 'conversation.item.retrieve':
      return retrieveItem(state, event)
    case 'conversation.item.truncate':
      return truncateItem(state, event)
    case 'response.create':
      return createResponse(state, event)
    case 'response.cancel':
      return cancelResponse(state, event, nowMs)
    // `output_audio_buffer.clear`
    default:
      return refuse(
        state,
        event.event_id,
        'invalid_event',
        'there is no output audio buffer on a WebSocket: it is the client’s',
      )
  }
}

function update(state: SessionState, { session }: Extract<ClientEvent, { type: 'session.update' }>): Step {
  const config = patchConfig(state.config, session)
  const told = send({ type: 'session.updated', session: sessionView(state.id, config) })
  // Clients send all their settings again to change one, also while somebody speaks.
  if (hearAlike(config, state.config)) return step({ ...state, config }, told)
  // What was said so far stays: the utterance goes on under the new settings, or until the client commits it.
  const fromMs = state.utterance?.startMs ?? state.sound.fromMs
  return step({ ...state, config }, told, { type: 'forget-guess' }, { type: 'listen-on', fromMs })
}

/** Alarms of an exchange that is over mean nothing. */
function ring(state: SessionState, { kind, responseId }: Extract<SessionEvent, { type: 'alarm' }>): Step {
  if (state.lastResponse !== responseId) return step(state)
  if (kind === 'idle') return fallSilent(state)
  return state.response ? step(state) : settle({ ...state, playing: null })
}

function close(state: SessionState, nowMs: number): Step {
  return steps(
    { ...state, isDue: false },
    (last) => breakOff(last, 'client_cancelled', nowMs),
    settle,
    (last) => step({ ...last, utterance: null, isClosed: true }, { type: 'forget-guess' }),
  )
}
