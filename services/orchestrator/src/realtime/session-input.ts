/** What comes in as sound: who speaks when, what of it becomes an item, and what was heard in it. */
import type { ClientEventOf } from './client-events.ts'
import type { Item } from './items.ts'
import { playedMs } from './response-output.ts'
import { beginResponse, breakOff, resume } from './session-response.ts'
import { heardText } from './items.ts'
import { addItem } from './session-items.ts'
import { newId, refuse, send, step, steps, tellFault, withItem } from './session-state.ts'
import type { Effect, SessionEvent, SessionState, Step } from './session-state.ts'

type Heard = Omit<Extract<SessionEvent, { type: 'heard' }>, 'type'>
type Unheard = Extract<SessionEvent, { type: 'unheard' }>

/** Speech to text needs that much. */
const LEAST_MS = 100
/** More attempts to answer before the end of an utterance are not worth their work. */
const MOST_GUESSES = 3
/** Less is no word. */
const LEAST_SPEECH_MS = 150
/** Of semantic_vad, before speech. */
const PADDING_MS = 300
/** What is heard after the last speech. */
const TAIL_MS = 300

export function commitSound(state: SessionState, event: ClientEventOf<'input_audio_buffer.commit'>): Step {
  const { receivedMs, fromMs } = state.sound
  const ms = receivedMs - fromMs
  if (ms < LEAST_MS) {
    const message = `buffer too small. Expected at least ${LEAST_MS}ms of audio, got ${ms.toFixed(2)}ms`
    return refuse(state, event.event_id, 'input_audio_buffer_commit_empty', message)
  }
  const [id, counted] = state.utterance ? [state.utterance.itemId, state] : newId(state, 'item')
  const taken = takeSound(counted, id, receivedMs)
  const hear = { type: 'hear', itemId: id, fromMs: state.utterance?.startMs ?? fromMs, toMs: receivedMs } as const
  return step(taken.state, ...taken.effects, hear, { type: 'listen-anew' })
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

/** The sound up to there becomes an item of the user. */
function takeSound(state: SessionState, id: string, toMs: number): Step {
  const item: Item = { id, type: 'message', role: 'user', status: 'completed', text: null, isSound: true }
  const previous_item_id = state.items.at(-1)?.id ?? null
  const taken = { ...state, utterance: null, sound: { ...state.sound, fromMs: toMs } }
  return steps(
    taken,
    (last) => step(last, send({ type: 'input_audio_buffer.committed', item_id: id, previous_item_id })),
    (last) => addItem(last, item),
  )
}

export function takeSpeech(
  state: SessionState,
  { what, atMs, speechMs }: Extract<SessionEvent, { type: 'speech' }>,
  nowMs: number,
): Step {
  if (!state.config.turnDetection) return step(state)
  const { utterance } = state
  // Who listens with other settings may find an utterance again, or only its end.
  if (what === 'started')
    return utterance ? step({ ...state, utterance: { ...utterance, foundMs: atMs } }) : started(state, atMs, nowMs)
  if (!utterance) return step(state)
  if (what === 'paused') return paused(state, atMs)
  if (what === 'resumed') return step(state, { type: 'forget-guess' })
  return stopped(state, atMs, speechMs)
}

function started(state: SessionState, atMs: number, nowMs: number): Step {
  const [itemId, counted] = newId(state, 'item')
  const startMs = Math.max(atMs, state.sound.fromMs)
  const speaking = { ...counted, utterance: { itemId, startMs, foundMs: startMs, guesses: 0 } }
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
  const response = state.response?.isApart ? null : state.response
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

function paused(state: SessionState, toMs: number): Step {
  const { utterance, response, config } = state
  if (!utterance || response || utterance.guesses >= MOST_GUESSES) return step(state)
  if (config.type === 'transcription' || !config.turnDetection?.create_response) return step(state)
  const { itemId, startMs: fromMs, guesses } = utterance
  const guess: Effect = { type: 'guess', itemId, fromMs, toMs }
  return step({ ...state, utterance: { ...utterance, guesses: guesses + 1 } }, guess)
}

function stopped(state: SessionState, atMs: number, speechMs: number): Step {
  const { utterance, config } = state
  if (!utterance) return step(state)
  const { itemId, startMs, foundMs } = utterance
  const toMs = Math.min(Math.max(atMs, startMs), state.sound.receivedMs)
  const told = send({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: Math.round(toMs), item_id: itemId })
  const answers = config.type === 'realtime' && config.turnDetection?.create_response !== false
  if (answers && isNoise(state, speechMs))
    return steps(
      state,
      (last) => step(last, told),
      (last) => takeSound(last, itemId, toMs),
      (last) => takeHeard(last, { itemId, text: '', seconds: (toMs - startMs) / 1000 }),
      resume,
    )
  // The silence that ended it has no words.
  const hear = { type: 'hear', itemId, fromMs: startMs, toMs: Math.min(toMs, foundMs + speechMs + TAIL_MS) } as const
  return steps(
    state,
    (last) => step(last, told),
    (last) => takeSound(last, itemId, toMs),
    (last) => step(last, hear),
    (last) => (answers ? answer(last, itemId) : step(last)),
  )
}

/** Too short for a word, and it broke off a reply: a cough, a knock. */
function isNoise({ interrupted, config }: SessionState, speechMs: number): boolean {
  const paddingMs = config.turnDetection?.type === 'server_vad' ? config.turnDetection.prefix_padding_ms : PADDING_MS
  return interrupted !== null && speechMs - paddingMs < LEAST_SPEECH_MS
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
  // Of a response beside the conversation it is the response that fails.
  if (!state.items.some(({ id }) => id === item_id)) return step(state)
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
  const { turnDetection } = state.config
  const isAwaited = turnDetection?.type === 'server_vad' && turnDetection.idle_timeout_ms !== null
  // Its settings may have changed since.
  if (!isAwaited || state.utterance || state.response) return step(state)
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
