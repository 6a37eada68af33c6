/**
 * Hearth speaks with itself before it says that it is ready: a sentence from its own voice goes through whole turns, until the
 * path that a first caller takes has been taken. Code is compiled as it is used, and its first passes cost several times the tenth.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Secret } from '@hearth/shared/config'
import { fromPcm16 } from '@hearth/shared/audio'
import { formBody } from '@hearth/shared/form-body'
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
  /** How long the other services may take to become ready once the language model is; then there is no rehearsal. */
  readonly othersMs: number
  /** No turn begins after that; real models are slow, and lose little by a cold path around them. */
  readonly totalMs: number
  readonly turns: number
}

const LIMITS: RehearsalLimits = { othersMs: 15_000, totalMs: 3000, turns: 12 }
const LOOK_EVERY_MS = 50
const LOOK_LIMIT_MS = 2000
/** It states nothing about anybody, so memory keeps nothing of it. */
const SENTENCE = 'Good morning.'

/** Resolves when the rehearsal is over. What goes wrong in it is told and harms nothing; throws only the signal's reason. */
export async function rehearse(rehearsal: Rehearsal, signal: AbortSignal): Promise<void> {
  const { isReady, others, log, limits = LIMITS } = rehearsal
  while (!isReady()) await pause(LOOK_EVERY_MS, undefined, { signal })
  try {
    await within(limits.othersMs, signal, (limit) => untilReady(others, limit))
    const held = await within(limits.totalMs * 2, signal, (limit) => holdTurns(rehearsal, limits, limit))
    log.info(held, 'rehearsed')
  } catch (err) {
    signal.throwIfAborted()
    log.warn({ err }, 'ready without a rehearsal')
  }
}

const Report = z.object({
  models: z.array(z.object({ state: z.string(), warming: z.boolean().default(false) })).default([]),
})

/** Waits until every other service is warm. Throws when one of them loads its model with its first request: that is not to be this one. */
async function untilReady(others: readonly string[], signal: AbortSignal): Promise<void> {
  const isWarm = async (base: string): Promise<boolean> => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_LIMIT_MS)])
    const answer = await fetch(`${base}/ready`, { signal: limit }).catch(() => null)
    const { models } = Report.catch({ models: [] }).parse(await answer?.json().catch(() => null))
    if (answer?.ok && models.some(({ state }) => state === 'idle')) throw new Error(`${base} loads its model on demand`)
    return answer?.ok === true && models.every(({ state, warming }) => state === 'ready' && !warming)
  }
  for (const base of others) while (!(await isWarm(base))) await pause(LOOK_EVERY_MS, undefined, { signal })
}

/** Whole turns over HTTP, one after another, and one over the socket; gives how many, and what of the latter was wrong. */
async function holdTurns(
  { tts, base, apiKey }: Rehearsal,
  limits: RehearsalLimits,
  signal: AbortSignal,
): Promise<{ turns: number; unanswered?: unknown }> {
  const speech = await tts.speak(SENTENCE, undefined, signal)
  if (speech === null) throw new Error('expected the voice to say a sentence')
  const { pcm, sampleRateHz } = speech
  const wav = Buffer.concat([wavHeader({ sampleRateHz, sampleCount: pcm.length / 2 }), pcm])
  const door = { base, headers: apiKey ? { authorization: `Bearer ${apiKey.reveal()}` } : {} }
  const start = performance.now()
  const hasTime = () => performance.now() - start < limits.totalMs
  let turns = 0
  for (; turns < limits.turns && hasTime(); turns++) await holdTurn(door, wav, signal)
  if (!hasTime()) return { turns }
  // The turn's own path is warm by now: what a conversation adds to it is not worth a start without a rehearsal.
  return within(limits.totalMs, signal, (limit) => holdConversation(door, fromPcm16(pcm, sampleRateHz), limit)).then(
    () => ({ turns }),
    (unanswered: unknown) => ({ turns, unanswered }),
  )
}

/** A turn in a session of its own, which nobody is to find later. */
async function holdTurn({ base, headers }: Door, wav: Buffer<ArrayBuffer>, signal: AbortSignal): Promise<void> {
  const form = new FormData()
  form.append('file', new Blob([wav], { type: 'audio/wav' }), 'rehearsal.wav')
  const { body, headers: type } = await formBody(form)
  const answer = await fetch(`${base}/generate`, { method: 'POST', body, headers: { ...type, ...headers }, signal })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`expected a turn, got ${answer.status}`)
  const forgotten = await fetch(`${base}/sessions/${answer.headers.get('x-session')}`, {
    method: 'DELETE',
    headers,
    signal,
  })
  await forgotten.arrayBuffer()
}
