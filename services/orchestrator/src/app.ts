/**
 * The orchestrator's HTTP surface: `POST /generate` holds one turn and answers with all of it. The turn itself is turn.ts;
 * here is only what surrounds it: reading, admission, the session's lock, the deadline, the reply.
 */
import type { ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { addServerTiming, createApp, requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { StageClock } from '@hearth/shared/telemetry'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import type { Context, Hono } from 'hono'
import { accepts } from 'hono/accepts'
import { collectTurn, jsonBody, wavReply } from './generate-reply.ts'
import type { HeldTurn } from './generate-reply.ts'
import { readTurnRequest } from './generate-request.ts'
import type { TurnRequest } from './generate-request.ts'
import type { EnteredSession, Sessions } from './sessions.ts'
import { runTurn } from './turn.ts'
import { TURN_STAGES } from './turn-events.ts'
import type { Stages } from './turn-events.ts'

export type OrchestratorOptions = {
  readonly version: string
  readonly stages: Stages
  readonly sessions: Sessions
  /** What `/ready` waits for: the language model that answers now. The other services tell of theirs. */
  readonly models: () => readonly ModelStatus[]
  readonly isDraining: () => boolean
  /** The system text for the language model. */
  readonly instructions: string
  readonly maxUploadBytes: number
  /** Longest text in code points. */
  readonly maxTextChars: number
  /** Turns at the same time; more are refused at once. */
  readonly maxTurns: number
  /** For one whole turn, its wait for the session included. */
  readonly turnLimitMs: number
  readonly log: Log
  readonly metrics: Metrics
}

/** Until there are accounts, everybody who reaches this port is one person, and shares one memory. */
const USER = 'default'
/** For a form's boundaries and other fields. */
const FORM_BYTES = 16_384

/** The service as a Hono app, without a server: POST /generate, GET /. */
export function createOrchestratorApp(options: OrchestratorOptions): Hono<AppEnv> {
  const { version, log, metrics, models, isDraining, maxUploadBytes } = options
  const maxBodyBytes = maxUploadBytes + FORM_BYTES
  const app = createApp({ service: 'orchestrator', models, isDraining, log, metrics, maxBodyBytes })
  let running = 0

  app.get('/', (c) =>
    c.json({
      name: 'hearth',
      version,
      links: { generate: '/generate', health: '/health', ready: '/ready', metrics: '/metrics' },
    }),
  )

  app.post('/generate', async (c) => {
    if (running >= options.maxTurns)
      throw new AppError('overloaded', `${running} turns are running, and more are not taken`, { retryAfterMs: 1000 })
    running++
    try {
      const turn = await holdTurn(c, options)
      observeTurn(c, turn, options)
      return wantsWav(c) ? wavReply(turn) : c.json(jsonBody(turn))
    } finally {
      running--
    }
  })
  return app
}

async function holdTurn(c: Context<AppEnv>, options: OrchestratorOptions): Promise<HeldTurn> {
  const { stages, sessions, maxTextChars, turnLimitMs } = options
  const request = await readTurnRequest(c, maxTextChars)
  const signal = AbortSignal.any([requestSignal(c), AbortSignal.timeout(turnLimitMs)])
  await requireVoice(request.voice, stages, signal)
  const session = await sessions.enter(request.session, signal)
  try {
    return await collectTurn(session.id, eventsOf(request, session, options, signal))
  } finally {
    session.leave()
  }
}

function eventsOf(
  { said, voice }: TurnRequest,
  session: EnteredSession,
  { stages, instructions }: OrchestratorOptions,
  signal: AbortSignal,
) {
  return runTurn({ said, voice, session, user: USER, instructions }, stages, new StageClock(TURN_STAGES), signal)
}

/** A voice that doesn't exist is refused before any work; a voice service that doesn't answer is the turn's to live without. */
async function requireVoice(voice: string | undefined, { tts }: Stages, signal: AbortSignal): Promise<void> {
  if (voice === undefined) return
  await tts.requireVoice(voice, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    if (error instanceof AppError && error.status < 500 && error.code !== 'overloaded') throw error
  })
}

/** `audio/wav` wherever it stands in `Accept`, unless JSON is preferred; else JSON. */
function wantsWav(c: Context<AppEnv>): boolean {
  const supports = ['application/json', 'audio/wav', 'audio/x-wav', 'audio/*']
  return accepts(c, { header: 'Accept', supports, default: 'application/json' }).startsWith('audio/')
}

/** Times and what was left out, to the reply, the metrics and the log: never what was said. */
function observeTurn(c: Context<AppEnv>, { done, audio }: HeldTurn, { log, metrics }: OrchestratorOptions): void {
  const { timings, models, degraded } = done
  for (const stage of TURN_STAGES) {
    const ms = timings[`${stage}Ms`]
    if (ms === undefined) continue
    addServerTiming(c, `${stage};dur=${ms}`)
    metrics.observeStage(stage, ms)
  }
  const requestId = c.get('requestId')
  for (const [stage, { code, message, cause }] of degraded)
    log.warn({ requestId, stage, code, err: cause ?? message }, 'turn went on without a stage')
  log.info({ requestId, timings, models, fragments: audio?.pcm.length ?? 0 }, 'turn')
}
