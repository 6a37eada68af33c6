/** What a realtime session is made of, what can happen to it, and what it then wants done. The rules are in session.ts. */
import type { ToolCall } from '../stages/llm.ts'
import type { Exchange, TurnEnding } from '../turn-events.ts'
import type { ClientEvent } from './client-events.ts'
import type { Item, Spoken } from './items.ts'
import type { Fault, ServerEvent, TurnTold } from './server-events.ts'
import type { ReplyConfig, SessionConfig } from './session-config.ts'

/** Somebody speaks: the item that it will be, and where it begins in the sound that came so far. */
export type Utterance = {
  readonly itemId: string
  readonly startMs: number
  /** Where who listens now has found it: what is told of its length counts from there. */
  readonly foundMs: number
  readonly guesses: number
}

/** A reply on its way to the client. */
export type Message = {
  readonly id: string
  readonly text: string
  readonly spoken: readonly Spoken[]
  readonly sentMs: number
  /** When its first sound was sent. */
  readonly firstAtMs: number | null
}

/** The one response at a time. Its id makes what a turn tells too late harmless. */
export type LiveResponse = {
  readonly id: string
  /** `response.created` is sent; before that nobody knows of it. */
  readonly isTold: boolean
  /** Not part of the conversation. */
  readonly isApart: boolean
  readonly config: ReplyConfig
  readonly metadata: Readonly<Record<string, string>> | null
  readonly message: Message | null
  /** What it has finished. */
  readonly outputs: readonly Item[]
}

export type SessionState = {
  readonly id: string
  /** Part of every id that is given: a client that comes back to the session still has those of before. */
  readonly connection: string
  readonly config: SessionConfig
  /** Ids given so far. */
  readonly issued: number
  readonly items: readonly Item[]
  /** Milliseconds of sound: all that came, and what is not part of an item yet begins at `fromMs`. */
  readonly sound: { readonly receivedMs: number; readonly fromMs: number }
  readonly utterance: Utterance | null
  readonly response: LiveResponse | null
  /** Whether another answer is due once the response is over. */
  readonly isDue: boolean
  /** The reply that the client may still play. */
  readonly playing: Message | null
  /** The reply that an utterance broke off: it goes on if nothing was said. */
  readonly interrupted: { readonly itemId: string | null } | null
  /** The last item of an exchange that the session of Hearth does not have yet. */
  readonly unsettled: string | null
  /** The last item that it has. */
  readonly settled: string | null
  /** The last that was told to be over. */
  readonly doneResponse: string | null
  /** Whose alarms still count. */
  readonly lastResponse: string | null
  readonly isClosed: boolean
}

/** What a turn is to answer, and how. */
export type Order = {
  readonly responseId: string
  readonly config: ReplyConfig
  /** The conversation; sounds in it may still have no words. */
  readonly items: readonly Item[]
  /** The item at its end whose sound is the question; null when words are. */
  readonly soundOf: string | null
  /** Said as it is, instead of asking the language model. */
  readonly recite: string | null
  readonly isApart: boolean
}

export type TurnNews =
  | { readonly type: 'transcript'; readonly text: string }
  | { readonly type: 'reply.delta'; readonly text: string }
  /** Sound of that fragment follows. */
  | { readonly type: 'fragment'; readonly text: string; readonly ms: number }
  /** Base64 in the client's format. */
  | { readonly type: 'audio'; readonly delta: string; readonly ms: number }
  | { readonly type: 'tool_calls'; readonly calls: readonly ToolCall[] }
  | { readonly type: 'done'; readonly ending: TurnEnding; readonly told: TurnTold }
  | { readonly type: 'failed'; readonly fault: Fault }
  /** Of a turn that was cut off, once that is known. */
  | { readonly type: 'report'; readonly told: TurnTold }

export type SessionEvent =
  | { readonly type: 'client'; readonly event: Exclude<ClientEvent, { type: 'input_audio_buffer.append' }> }
  /** Milliseconds of sound that came so far. */
  | { readonly type: 'received'; readonly totalMs: number }
  | {
      readonly type: 'speech'
      readonly what: 'started' | 'paused' | 'resumed' | 'stopped'
      /** In the sound that came. */
      readonly atMs: number
      /** How much of the utterance was speech, up to its last word. */
      readonly speechMs: number
    }
  /** More of what the speaker is saying. */
  | { readonly type: 'caption'; readonly delta: string }
  | { readonly type: 'heard'; readonly itemId: string; readonly text: string; readonly seconds: number }
  | { readonly type: 'unheard'; readonly itemId: string; readonly fault: Fault }
  | { readonly type: 'turn'; readonly responseId: string; readonly news: TurnNews }
  | { readonly type: 'alarm'; readonly kind: 'played' | 'idle'; readonly responseId: string }
  | { readonly type: 'fault'; readonly fault: Fault; readonly eventId: string | null }
  | { readonly type: 'closed' }

export type Effect =
  | { readonly type: 'send'; readonly event: ServerEvent }
  /** That stretch of the sound becomes an item: its words are asked for, and what came before it is forgotten. */
  | { readonly type: 'hear'; readonly itemId: string; readonly fromMs: number; readonly toMs: number }
  /** The sound that a client put into an item itself. */
  | { readonly type: 'hear-given'; readonly itemId: string; readonly base64: string }
  /** All sound before that is over. */
  | { readonly type: 'forget-sound'; readonly beforeMs: number }
  /** What was begun to be heard is void. */
  | { readonly type: 'listen-anew' }
  /** The settings of hearing have changed; what came since then is not part of an item yet. */
  | { readonly type: 'listen-on'; readonly fromMs: number }
  /** Answer what was said so far, but tell nobody before it is ordered. */
  | { readonly type: 'guess'; readonly itemId: string; readonly fromMs: number; readonly toMs: number }
  | { readonly type: 'forget-guess' }
  | { readonly type: 'respond'; readonly order: Order }
  | { readonly type: 'stop'; readonly responseId: string }
  | { readonly type: 'settle'; readonly exchange: Exchange }
  | {
      readonly type: 'alarm'
      readonly kind: 'played' | 'idle'
      readonly responseId: string
      readonly afterMs: number
    }

export type Step = { readonly state: SessionState; readonly effects: readonly Effect[] }

export const beginSession = (id: string, connection: string, config: SessionConfig): SessionState => ({
  id,
  connection,
  config,
  issued: 0,
  items: [],
  sound: { receivedMs: 0, fromMs: 0 },
  utterance: null,
  response: null,
  isDue: false,
  playing: null,
  interrupted: null,
  unsettled: null,
  settled: null,
  doneResponse: null,
  lastResponse: null,
  isClosed: false,
})

export type Phase = 'listening' | 'hearing' | 'thinking' | 'speaking' | 'closed'

export function phaseOf({ isClosed, response, utterance }: SessionState): Phase {
  if (isClosed) return 'closed'
  if (response) return response.message?.firstAtMs == null ? 'thinking' : 'speaking'
  return utterance ? 'hearing' : 'listening'
}

export const step = (state: SessionState, ...effects: readonly Effect[]): Step => ({ state, effects })
export const send = (event: ServerEvent): Effect => ({ type: 'send', event })

/** One step after another; the effects in that order. */
export function steps(state: SessionState, ...moves: readonly ((state: SessionState) => Step)[]): Step {
  return moves.reduce<Step>((done, move) => {
    const { state: moved, effects } = move(done.state)
    return { state: moved, effects: [...done.effects, ...effects] }
  }, step(state))
}

/** A new id, unique among all sessions because the connection's own is. */
export function newId(state: SessionState, kind: 'item' | 'resp' | 'call'): [string, SessionState] {
  const issued = state.issued + 1
  return [`${kind}_${state.connection}${issued.toString(36)}`, { ...state, issued }]
}

export function refuse(state: SessionState, eventId: string | null | undefined, code: string, message: string): Step {
  const fault = { type: 'invalid_request_error', code, message, param: null }
  return step(state, tellFault(fault, eventId ?? null))
}

export const tellFault = (fault: Fault, eventId: string | null): Effect =>
  send({ type: 'error', error: { ...fault, event_id: eventId } })

export const withItem = (state: SessionState, item: Item): SessionState => ({
  ...state,
  items: state.items.map((one) => (one.id === item.id ? item : one)),
})
