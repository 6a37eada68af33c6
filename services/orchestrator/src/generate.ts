/**
 * `POST /generate` holds one turn: all of it in one JSON body, its sound alone, or its events as they happen. The turn itself is turn.ts; here
 * is only what surrounds it: reading, admission, the session's lock, the deadline, the reply.
 */
import type { GenerateRequest } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { replyStream, requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { nodeOf } from '@hearth/shared/request-guard'
import { StageClock } from '@hearth/shared/stage-clock'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import type { Context, Hono } from 'hono'
import type { Admission } from './admission.ts'
import { detectLanguage } from './detect-language.ts'
import { collectTurn, jsonBody, soundBytes, TOLD_HEADERS, wavReply } from './generate-reply.ts'
import type { TurnIds } from './generate-reply.ts'
import { readTurnRequest } from './generate-request.ts'
import type { TurnRequest } from './generate-request.ts'
import { eventBytes } from './generate-stream.ts'
import { observeTurn } from './observe-turn.ts'
import { tellStages } from './profile.ts'
import { replyForm } from './reply-form.ts'
import { requireVoice } from './require-voice.ts'
import { ANYBODY } from './sessions.ts'
import type { EnteredSession, Sessions } from './sessions.ts'
import { traceOf, withTrace } from './stages/trace.ts'
import { endingWith, startingWith } from './stream.ts'
import { runTurn } from './turn.ts'
import { TURN_STAGES } from './turn-events.ts'
import type { Stages, TurnClock, TurnEvent, TurnInput } from './turn-events.ts'
import type { Turns } from './turns.ts'

export type GenerateOptions = {
  readonly stages: Stages
  readonly sessions: Sessions
  readonly turns: Turns
  readonly admission: Admission
  /** The system text for the language model. */
  readonly instructions: string
  /** Longest text in code points. */
  readonly maxTextChars: number
  /** For one whole turn, its wait for the session included. */
  readonly turnLimitMs: number
  /** A stream of events that has nothing to tell says so that often. */
  readonly keepAliveMs?: number
  readonly log: Log
  readonly metrics: Metrics
  /** The clock of the app's `startedAt`. */
  readonly now?: () => number
}

const KEEP_ALIVE_MS = 10_000

/** Adds the route. */
export function addGenerate(app: Hono<AppEnv>, options: GenerateOptions): void {
  app.post('/generate', async (c) => {
    const leave = options.admission.enter()
    const clock: TurnClock = new StageClock(TURN_STAGES, options.now, c.get('startedAt'))
    try {
      const request = await clock.time('request', () => readTurnRequest(c, options.maxTextChars))
      const form = replyForm(c, request.options)
      const turn = await beginTurn(c, request, clock, options, leave)
      if (form.kind === 'events') return await streamed(c, turn, eventsOf(c, turn, options), EVENTS_TYPE, options)
      if (form.kind === 'sound') {
        const { format } = form
        c.header('trailer', TOLD_HEADERS.join(', '))
        const bytes = soundBytes(turn.events, format, (told) => nodeOf(c).outgoing?.addTrailers(told))
        return await streamed(c, turn, bytes, `audio/${format}`, options)
      }
      return await whole(c, turn, clock, form.kind)
    } catch (error) {
      leave()
      throw error
    }
  })
}

const EVENTS_TYPE = 'text/event-stream; charset=utf-8'

type BegunTurn = TurnIds & {
  readonly headers: Readonly<Record<string, string>>
  readonly events: AsyncGenerator<TurnEvent, void, void>
  /** Ends the turn wherever it is. */
  readonly stop: () => void
}

/**
 * A turn that gives its place and its session back when it has ended, when nobody reads it any more, when its client has left, or when its
 * session is deleted.
 */
async function beginTurn(
  c: Context<AppEnv>,
  { said, options: fields }: TurnRequest,
  clock: TurnClock,
  options: GenerateOptions,
  leave: () => void,
): Promise<BegunTurn> {
  const { stages, sessions, turns, turnLimitMs, log, metrics } = options
  const stopping = new AbortController()
  const trace = traceOf(c.get('requestId'), (name) => c.req.header(name))
  const asked = withTrace(AbortSignal.any([requestSignal(c), AbortSignal.timeout(turnLimitMs), stopping.signal]), trace)
  const { voice } = fields
  if (fields.speak !== false && voice !== undefined)
    await clock.time('voice', () => requireVoice(voice, stages.tts, asked))
  const owner = fields.user ?? ANYBODY
  const session = await clock.time('session', () => sessions.enter(owner, fields.session, asked))
  const signal = AbortSignal.any([asked, session.deleted])
  const begun = 'toolResults' in said ? withQuestion(said.toolResults, session) : said
  const record = turns.begin(session, clock)
  const end = () => {
    record.end(signal.reason)
    session.leave()
    leave()
  }
  signal.addEventListener('abort', end, { once: true })
  withTrace(signal, trace)
  const input = inputOf(fields, options)
  const ignored = stages.llm.ignores?.(input.writing ?? {}).join(', ') ?? ''
  const turn = runTurn({ ...input, said: begun, session, turn: record.id }, stages, clock, signal)
  const told = { requestId: c.get('requestId'), record, clock, kept: () => session.kept(), log, metrics }
  const events = endingWith(observeTurn(turn, told), end)
  const headers = { 'x-turn': record.id, 'x-session': session.id, ...(ignored !== '' && { 'x-ignored': ignored }) }
  return { turn: record.id, session: session.id, headers, events, stop: () => stopping.abort() }
}

function inputOf(
  fields: TurnRequest['options'],
  { instructions }: GenerateOptions,
): Omit<TurnInput, 'said' | 'session'> {
  const { user = ANYBODY, voice, language, speak, remember, max_tokens: maxTokens, temperature } = fields
  const writing = {
    ...(maxTokens !== undefined && { maxTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(fields.tools && { tools: fields.tools.map(({ function: spec }) => spec) }),
  }
  return { user, voice, language, speak, remember, writing, instructions: fields.instructions ?? instructions }
}

/**
 * Results, and the question that their calls were for. Throws `invalid_request`, and leaves the session, unless they are those of all calls that its
 * last reply asked for.
 */
function withQuestion(given: NonNullable<GenerateRequest['tool_results']>, session: EnteredSession): TurnInput['said'] {
  const wanted = session.history.at(-1)?.calls ?? []
  const results = given.map(({ tool_call_id: id, content }) => ({ id, content }))
  const ids = new Set(results.map(({ id }) => id))
  if (
    wanted.length > 0 &&
    ids.size === results.length &&
    wanted.length === ids.size &&
    wanted.every(({ id }) => ids.has(id))
  ) {
    const text = session.history.findLast(({ user }) => user !== '')?.user ?? ''
    return { text, model: null, language: detectLanguage(text), results }
  }
  session.leave()
  const message = `tool_results: expected one for each call of the session's last reply, of which there are ${wanted.length}`
  throw new AppError('invalid_request', message, { param: 'tool_results' })
}

async function whole(c: Context<AppEnv>, turn: BegunTurn, clock: TurnClock, kind: 'json' | 'wav'): Promise<Response> {
  const held = await collectTurn({ turn: turn.turn, session: turn.session }, turn.events)
  tellStages(c, clock)
  return kind === 'wav' ? wavReply(held, turn.headers) : c.json(jsonBody(held), 200, turn.headers)
}

function eventsOf(
  c: Context<AppEnv>,
  { turn, session, events }: BegunTurn,
  { log, keepAliveMs = KEEP_ALIVE_MS }: GenerateOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const requestId = c.get('requestId')
  const onError = (err: unknown) => log.warn({ requestId, err }, 'turn broken off')
  return eventBytes(events, { turn, session, requestId, keepAliveMs, onError })
}

/** The first bytes are there before the status goes out, so that what fails before them has a status of its own. */
async function streamed(
  c: Context<AppEnv>,
  { headers, stop }: BegunTurn,
  bytes: AsyncGenerator<Uint8Array, void, void>,
  type: string,
  { log }: GenerateOptions,
): Promise<Response> {
  const rest = startingWith(await bytes.next(), bytes)
  const leaving = {
    next: () => rest.next(),
    return: async () => {
      stop()
      return bytes.return()
    },
  }
  return c.body(replyStream(c, leaving, log), 200, {
    'content-type': type,
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
    ...headers,
  })
}
