/** What comes in as sound: who speaks when, what of it becomes an item, and what was heard in it. */
import type { ClientEventOf } from './client-events.ts'
import type { Item } from './items.ts'
import { playedMs } from './response-output.ts'
import { beginResponse, breakOff } from './session-response.ts'
import { heardText } from './items.ts'
import { addItem } from './session-items.ts'
import { newId, refuse, send, step, steps, tellFault, withItem } from './session-state.ts'
import type { Effect, SessionEvent, SessionState, Step } from './session-state.ts'

type Heard = Extract<SessionEvent, { type: 'heard' }>
type Unheard = Extract<SessionEvent, { type: 'unheard' }>

/** Speech to text needs that much. */
const LEAST_MS = 100
/** More attempts to answer before the end of an utterance are not worth their work. */
const MOST_GUESSES = 3

export function commitSound(state: SessionState, event: ClientEventOf<'input_audio_buffer.commit'>): Step {
  const { receivedMs, fromMs } = state.sound
  const ms = receivedMs - fromMs
  if (ms < LEAST_MS) {
    const message = `buffer too small. Expected at least ${LEAST_MS}ms of audio, got ${ms.toFixed(2)}ms`
    return refuse(state, event.event_id, 'input_audio_buffer_commit_empty', message)
  }
  const [id, counted] = state.utterance ? [state.utterance.itemId, state] : newId(state, 'item')
  const taken = takeSound(counted, id, fromMs, receivedMs)
  return step(taken.state, ...taken.effects, { type: 'listen-anew' })
}

export function clearSound(state: SessionState): Step {
  const { receivedMs } = state.sound
  const cleared = { ...state, utterance: null, sound: { receivedMs, fromMs: receivedMs } }
  return step(
    cleared,
    { type: 'forget-guess' },
    { type: 'forget-sound', beforeMs: receivedMs },
    { type: 'listen-anew' },
    send({ type: 'input_audio_buffer.cleared' }),
  )
}

/** The sound between becomes an item of the user. */
function takeSound(state: SessionState, id: string, fromMs: number, toMs: number): Step {
  const item: Item = { id, type: 'message', role: 'user', status: 'completed', text: null, isSound: true }
  const previous_item_id = state.items.at(-1)?.id ?? null
  const taken = { ...state, utterance: null, sound: { ...state.sound, fromMs: toMs } }
  return steps(
    taken,
    (last) => step(last, send({ type: 'input_audio_buffer.committed', item_id: id, previous_item_id })),
    (last) => addItem(last, item),
    (last) => step(last, { type: 'hear', itemId: id, fromMs, toMs }),
  )
}

export function takeSpeech(
  state: SessionState,
  { what, atMs }: Extract<SessionEvent, { type: 'speech' }>,
  nowMs: number,
): Step {
  if (!state.config.turnDetection) return step(state)
  if (what === 'started') return started(state, atMs, nowMs)
  if (!state.utterance) return step(state)
  if (what === 'paused') return paused(state)
  if (what === 'resumed') return step(state, { type: 'forget-guess' })
  return stopped(state, atMs)
}

function started(state: SessionState, atMs: number, nowMs: number): Step {
  const [itemId, counted] = newId(state, 'item')
  const startMs = Math.max(atMs, state.sound.fromMs)
  const speaking = { ...counted, utterance: { itemId, startMs, guesses: 0 } }
  const told = send({
    type: 'input_audio_buffer.speech_started',
    audio_start_ms: Math.round(startMs),
    item_id: itemId,
  })
  return steps(
    speaking,
    (last) => step(last, told),
    (last) => (last.config.turnDetection?.interrupt_response === false ? step(last) : interrupt(last, nowMs)),
  )
}

/** Nothing more of the reply is sent; what of it was heard is all that was said. */
function interrupt(state: SessionState, nowMs: number): Step {
  if (state.response?.isApart) return step(state)
  const { response } = state
  const itemId = response?.message?.id ?? null
  const wasWaiting = response !== null && itemId === null
  const broken = response ? breakOff(state, 'turn_detected', nowMs) : step(state)
  const { playing } = broken.state
  if (!response && playing && playedMs(playing, nowMs) >= playing.sentMs)
    return step({ ...broken.state, interrupted: null }, ...broken.effects)
  const interrupted = playing ? { itemId: playing.id } : wasWaiting ? (state.interrupted ?? { itemId: null }) : null
  const cut = { ...broken.state, interrupted, playing: null }
  const item = cut.items.find(({ id }) => id === playing?.id)
  if (response || !playing || item?.type !== 'message' || item.role !== 'assistant') return step(cut, ...broken.effects)
  const text = heardText(item.spoken, playedMs(playing, nowMs))
  return step(withItem(cut, { ...item, status: 'incomplete', text }), ...broken.effects)
}

function paused(state: SessionState): Step {
  const { utterance, response, config, sound } = state
  if (!utterance || response || utterance.guesses >= MOST_GUESSES) return step(state)
  if (config.type === 'transcription' || !config.turnDetection?.create_response) return step(state)
  const { itemId, startMs: fromMs, guesses } = utterance
  const guess: Effect = { type: 'guess', itemId, fromMs, toMs: sound.receivedMs }
  return step({ ...state, utterance: { ...utterance, guesses: guesses + 1 } }, guess)
}

function stopped(state: SessionState, atMs: number): Step {
  const { utterance, config } = state
  if (!utterance) return step(state)
  const { itemId, startMs } = utterance
  const toMs = Math.min(Math.max(atMs, startMs), state.sound.receivedMs)
  const told = send({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: Math.round(toMs), item_id: itemId })
  const answers = config.type === 'realtime' && config.turnDetection?.create_response !== false
  return steps(
    state,
    (last) => step(last, told),
    (last) => takeSound(last, itemId, startMs, toMs),
    (last) => (answers ? answer(last, itemId) : step(last)),
  )
}

/** Keeps what was broken off: if nothing was said, it goes on. */
function answer(state: SessionState, soundOf: string): Step {
  if (state.response) return step({ ...state, isDue: true })
  const { interrupted } = state
  const begun = beginResponse(state, { isTold: false, soundOf })
  return step({ ...begun.state, interrupted }, ...begun.effects)
}

export function takeHeard(state: SessionState, { itemId, text, seconds }: Heard): Step {
  const item = state.items.find(({ id }) => id === itemId)
  if (item?.type !== 'message' || item.role === 'assistant') return step(state)
  const known = withItem(state, { ...item, text })
  if (!state.config.transcription) return step(known)
  return step(
    known,
    send({
      type: 'conversation.item.input_audio_transcription.completed',
      item_id: itemId,
      content_index: 0,
      transcript: text,
      usage: { type: 'duration', seconds },
    }),
  )
}

export function takeUnheard(state: SessionState, { itemId: item_id, fault }: Unheard): Step {
  if (!state.config.transcription) return step(state, tellFault(fault, null))
  const type = 'conversation.item.input_audio_transcription.failed' as const
  return step(state, send({ type, item_id, content_index: 0, error: fault }))
}

export function takeCaption(state: SessionState, delta: string): Step {
  const { utterance, config } = state
  if (!utterance || !config.transcription) return step(state)
  const type = 'conversation.item.input_audio_transcription.delta' as const
  return step(state, send({ type, item_id: utterance.itemId, content_index: 0, delta }))
}

/** Nobody has said anything for so long that the model is to speak again. */
export function fallSilent(state: SessionState): Step {
  const { receivedMs, fromMs } = state.sound
  if (state.utterance || state.response) return step(state)
  const [id, counted] = newId(state, 'item')
  const item: Item = { id, type: 'message', role: 'user', status: 'completed', text: '', isSound: true }
  const told = send({
    type: 'input_audio_buffer.timeout_triggered',
    audio_start_ms: Math.round(fromMs),
    audio_end_ms: Math.round(receivedMs),
    item_id: id,
  })
  const previous_item_id = state.items.at(-1)?.id ?? null
  const committed = send({ type: 'input_audio_buffer.committed', item_id: id, previous_item_id })
  return steps(
    { ...counted, sound: { receivedMs, fromMs: receivedMs } },
    (last) => step(last, told, committed),
    (last) => addItem(last, item),
    (last) => beginResponse(last, {}),
  )
}
