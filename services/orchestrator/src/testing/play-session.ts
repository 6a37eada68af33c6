/** For tests: a realtime session as the pure function that it is, given one event after another. */
import type { ServerEvent } from '../realtime/server-events.ts'
import { defaultConfig } from '../realtime/session-config.ts'
import { next } from '../realtime/session.ts'
import { beginSession } from '../realtime/session-state.ts'
import type { Effect, SessionEvent, SessionState, TurnNews } from '../realtime/session-state.ts'

/** How turns are detected unless a client asks for another way. */
export const SERVER_VAD = {
  type: 'server_vad',
  threshold: 0.5,
  prefix_padding_ms: 300,
  silence_duration_ms: 500,
  idle_timeout_ms: null,
  create_response: true,
  interrupt_response: true,
} as const

export const begin = () =>
  beginSession('sess_of_a_test', 'connection1', defaultConfig('realtime', 'm', 'Be kind.', 'whisper-1'))

const TOLD = { turn: 't', status: 'completed' as const, timings: {}, waterfall: [], memories: [], degraded: [] }
export const done: TurnNews = {
  type: 'done',
  ending: {},
  told: { ...TOLD, models: { stt: null, embeddings: null, llm: 'm', tts: null } },
}
export type ClientTold = Extract<SessionEvent, { type: 'client' }>
export const client = (event: ClientTold['event']): ClientTold => ({ type: 'client', event })
export const speech = (what: 'started' | 'paused' | 'resumed' | 'stopped', atMs: number): SessionEvent => ({
  type: 'speech',
  what,
  atMs,
  speechMs: 1000,
})

/** Runs events one after another, each a second later; a function is given the state before it. */
export function run(...events: (SessionEvent | ((state: SessionState) => SessionEvent))[]) {
  let state = begin()
  const effects: Effect[] = []
  for (const [at, given] of events.entries()) {
    const event = typeof given === 'function' ? given(state) : given
    const step = next(state, event, at * 1000)
    state = step.state
    effects.push(...step.effects)
  }
  return { state, effects, told: sentBy(effects).map(({ type }) => type) }
}

export const sentBy = (effects: readonly Effect[]): ServerEvent[] =>
  effects.flatMap((effect) => (effect.type === 'send' ? [effect.event] : []))

export const turn =
  (news: TurnNews) =>
  (state: SessionState): SessionEvent => ({ type: 'turn', responseId: state.response?.id ?? '', news })
