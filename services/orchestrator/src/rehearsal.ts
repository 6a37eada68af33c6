/**
 * Hearth speaks with itself once it is ready, while nobody else does: a sentence from its own voice goes through whole turns, until the
 * path that a caller takes has been taken. Code is compiled as it is used, and its first passes cost several times the tenth.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Secret } from '@hearth/shared/config'
import { fromPcm16 } from '@hearth/shared/audio'
import { formBody } from '@hearth/shared/form-body'
import { inQuietMoments } from '@hearth/shared/quiet-moments'
import type { QuietMoments } from '@hearth/shared/quiet-moments'
import type { Log } from '@hearth/shared/telemetry'
import { wavHeader } from '@hearth/shared/wav'
import * as z from 'zod'
import { holdConversation } from './rehearsal-conversation.ts'
import type { Door } from './rehearsal-conversation.ts'
import { within } from './stages/limit.ts'
import type { TextToSpeech } from './stages/tts.ts'

export type Rehearsal = {
  /** Whether the language model can answer. */
  readonly isReady: () => boolean
  /** Called when the other services are ready too, or have had their time. */
  readonly onReady: () => void
  /** Whether somebody is being answered: turns of its own come only when nobody is. */
  readonly isInUse: () => boolean
  /** Called before each of them; what it gives is called behind it. */
  readonly makeRoom: () => () => void
  /** Base addresses of the other services. */
  readonly others: readonly string[]
  readonly tts: TextToSpeech
  /** This service's own base address. */
  readonly base: string
  readonly apiKey?: Secret | undefined
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly limits?: RehearsalLimits
}

export type RehearsalLimits = {
  /** How long the other services may take to become ready once the language model is; then Hearth is ready without them, and there is no rehearsal. */
  readonly othersMs: number
  /** How long they may take from then on until nothing about them is cold. */
  readonly warmMs: number
  /** No turn begins when those before it took so long; real models are slow, and lose little by a cold path around them. */
  readonly totalMs: number
  readonly turns: number
}

const LIMITS: RehearsalLimits = { othersMs: 15_000, warmMs: 60_000, totalMs: 3000, turns: 12 }
const LOOK_EVERY_MS = 50
const LOOK_LIMIT_MS = 2000
/** It states nothing about anybody, so memory keeps nothing of it. */
const SENTENCE = 'Good morning.'
const USER = 'rehearsal'

/** Resolves when the rehearsal is over. What goes wrong in it is told and harms nothing; throws only the signal's reason. */
export async function rehearse(rehearsal: Rehearsal, signal: AbortSignal): Promise<void> {
  const { isReady, onReady, others, log, limits = LIMITS } = rehearsal
  while (!isReady()) await pause(LOOK_EVERY_MS, undefined, { signal })
  try {
    await within(limits.othersMs, signal, (limit) => untilAll(others, ({ state }) => state === 'ready', limit))
    onReady()
    await within(limits.warmMs, signal, (limit) => untilWarm(others, limit))
    const held = await speakWithItself(rehearsal, limits, signal)
    signal.throwIfAborted()
    log.info(held, 'rehearsed')
  } catch (err) {
    signal.throwIfAborted()
    onReady()
    log.warn({ err }, 'ready without a rehearsal')
  }
}

const ModelReport = z.object({ state: z.string(), warming: z.boolean().default(false) })
const Report = z.object({ models: z.array(ModelReport).default([]) })

const untilWarm = (others: readonly string[], signal: AbortSignal): Promise<void> =>
  untilAll(others, ({ warming }) => !warming, signal)

/** Waits until every model of every other service is so. Throws when one of them loads its model with its first request: that is not to be this one. */
async function untilAll(
  others: readonly string[],
  isSo: (model: z.infer<typeof ModelReport>) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const isReached = async (base: string): Promise<boolean> => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_LIMIT_MS)])
    const answer = await fetch(`${base}/ready`, { signal: limit }).catch(() => null)
    const { models } = Report.catch({ models: [] }).parse(await answer?.json().catch(() => null))
    if (answer?.ok && models.some(({ state }) => state === 'idle')) throw new Error(`${base} loads its model on demand`)
    return answer?.ok === true && models.every(isSo)
  }
  for (const base of others) while (!(await isReached(base))) await pause(LOOK_EVERY_MS, undefined, { signal })
}

/** Whole turns over HTTP, one after another, and one over the socket; gives how many, and what of the latter was wrong. */
async function speakWithItself(
  { tts, others, base, apiKey, isInUse, makeRoom }: Rehearsal,
  limits: RehearsalLimits,
  signal: AbortSignal,
): Promise<{ turns: number; unanswered?: unknown }> {
  const speech = await within(limits.totalMs, signal, (limit) => tts.speak(SENTENCE, undefined, limit))
  if (speech === null) throw new Error('expected the voice to say a sentence')
  const { pcm, sampleRateHz } = speech
  const wav = Buffer.concat([wavHeader({ sampleRateHz, sampleCount: pcm.length / 2 }), pcm])
  const door = { base, headers: apiKey ? { authorization: `Bearer ${apiKey.reveal()}` } : {} }
  const quiet = { isInUse, makeRoom, signal, now: () => performance.now() }
  const turnOnce = async (limit: AbortSignal): Promise<void> => {
    // Again: what was unloaded since the turn before is not to come back for this one.
    await untilWarm(others, limit)
    await holdTurn(door, wav, limit)
  }
  const { turns, hasTime } = await holdTurns(turnOnce, limits, quiet)
  if (!hasTime) return { turns }
  const conversation = (): Promise<false> =>
    within(limits.totalMs, signal, (limit) => holdConversation(door, fromPcm16(pcm, sampleRateHz), limit)).then(
      () => false,
    )
  // The turn's own path is warm by now: what a conversation adds to it is no reason to say that there was no rehearsal.
  return besideNobody(conversation, quiet).then(
    () => ({ turns }),
    (unanswered: unknown) => ({ turns, unanswered }),
  )
}

type Moments = QuietMoments & Pick<Rehearsal, 'makeRoom'>

/** Who comes while a part is under way finds a place all the same. */
function besideNobody(part: () => Promise<boolean>, { makeRoom, ...quiet }: Moments): Promise<void> {
  const inRoom = (): Promise<boolean> => {
    const giveBack = makeRoom()
    return part().finally(giveBack)
  }
  return inQuietMoments(inRoom, quiet)
}

async function holdTurns(
  turnOnce: (signal: AbortSignal) => Promise<void>,
  limits: RehearsalLimits,
  quiet: Moments,
): Promise<{ turns: number; hasTime: boolean }> {
  let [turns, leftMs] = [0, limits.totalMs]
  const turn = async (): Promise<boolean> => {
    const startMs = quiet.now()
    await within(limits.totalMs * 2, quiet.signal, turnOnce)
    leftMs -= quiet.now() - startMs
    return ++turns < limits.turns && leftMs > 0
  }
  await besideNobody(turn, quiet)
  return { turns, hasTime: leftMs > 0 }
}

/** A turn in a session of its own, which nobody is to find: people may be listing theirs meanwhile. */
async function holdTurn({ base, headers }: Door, wav: Buffer<ArrayBuffer>, signal: AbortSignal): Promise<void> {
  const form = new FormData()
  form.append('file', new Blob([wav], { type: 'audio/wav' }), 'rehearsal.wav')
  form.append('user', USER)
  const { body, headers: type } = await formBody(form)
  const answer = await fetch(`${base}/generate`, { method: 'POST', body, headers: { ...type, ...headers }, signal })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`expected a turn, got ${answer.status}`)
  const forgotten = await fetch(`${base}/sessions/${answer.headers.get('x-session')}?user=${USER}`, {
    method: 'DELETE',
    headers,
    signal,
  })
  await forgotten.arrayBuffer()
}
