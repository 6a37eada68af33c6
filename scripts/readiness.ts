/** How far the services are: asks each one's `GET /ready`, and puts the answers in words. */
import { setTimeout as pause } from 'node:timers/promises'
import { ReadyReport } from '@hearth/shared/api'
import type { ModelStatus } from '@hearth/shared/api'
import { bytesInWords } from '@hearth/shared/in-words'
import { stateInWords } from '@hearth/shared/model-status'
import { progressBar } from './progress-bar.ts'

const POLL_MS = 150
const ANSWER_LIMIT_MS = 2000
/** A service gives up to be warmer after a minute, the orchestrator after another one. */
const WARM_LIMIT_MS = 120_000
/** Where a status can't be drawn anew, each change is a line of its own. */
const STEP_PERCENT = 25

/** What is known of one service: its last report (null while it doesn't answer), and whether its process keeps dying. */
export type ServiceView = { readonly name: string; readonly report: ReadyReport | null; readonly isDown: boolean }

/** A service's own report, or null when it gives none within two seconds. */
export async function readReport(url: string, signal: AbortSignal): Promise<ReadyReport | null> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)])
  try {
    const answer = await fetch(`${url}/ready?verbose`, { signal: limit })
    return ReadyReport.parse(await answer.json())
  } catch {
    return null
  }
}

/** Asks until every service is ready, failed or down; each round of answers goes to `onRound`. Throws when aborted. */
export function untilSettled(
  look: () => Promise<ServiceView[]>,
  onRound: (views: readonly ServiceView[]) => void,
  signal: AbortSignal,
  wait?: () => Promise<unknown>,
): Promise<ServiceView[]> {
  const isEnough = (views: readonly ServiceView[]): boolean => {
    onRound(views)
    return views.every(isSettled)
  }
  return lookUntil(isEnough, look, signal, wait)
}

/** Asks until nothing is left to be warmed, which begins when all are ready; what is used all the time is told as it is after `limitMs`. Throws when aborted. */
export function untilWarm(
  look: () => Promise<ServiceView[]>,
  signal: AbortSignal,
  { limitMs = WARM_LIMIT_MS, wait }: { limitMs?: number; wait?: () => Promise<unknown> } = {},
): Promise<ServiceView[]> {
  const untilMs = performance.now() + limitMs
  const isWarming = ({ report }: ServiceView) => report?.models.some(({ warming }) => warming)
  return lookUntil((views) => !views.some(isWarming) || performance.now() >= untilMs, look, signal, wait)
}

async function lookUntil(
  isEnough: (views: readonly ServiceView[]) => boolean,
  look: () => Promise<ServiceView[]>,
  signal: AbortSignal,
  wait: () => Promise<unknown> = () => pause(POLL_MS, undefined, { signal }),
): Promise<ServiceView[]> {
  for (;;) {
    const views = await look()
    signal.throwIfAborted()
    if (isEnough(views)) return views
    await wait()
  }
}

const isSettled = ({ report, isDown }: ServiceView): boolean =>
  isDown ||
  (report !== null && (report.ready || report.models.some((model) => model.state === 'failed' && !model.optional)))

/** Where each service stands, for a place that can't be drawn anew: one line, which changes at each fourth of a download. */
export function describeProgress(views: readonly ServiceView[]): string {
  return views.map((view) => `${view.name} ${stateOf(view, describeModel)}`).join(' · ')
}

/** The same for a terminal: a line for each service that is not ready, with a bar while its files come. */
export function drawProgress(views: readonly ServiceView[]): string {
  const waiting = views.filter(({ report }) => !report?.ready)
  const width = Math.max(0, ...waiting.map(({ name }) => name.length))
  return waiting.map((view) => `${view.name.padEnd(width)}  ${stateOf(view, drawModel)}`).join('\n')
}

function stateOf({ report, isDown }: ServiceView, ofModel: (model: ModelStatus) => string): string {
  if (isDown) return 'down'
  if (report === null) return 'starting'
  if (report.ready) return 'ready'
  const late = report.models.find((model) => model.state !== 'ready' && !model.optional)
  return late ? ofModel(late) : 'starting'
}

function describeModel(model: ModelStatus): string {
  const { percent = null, totalBytes = 0 } = model.progress ?? {}
  if (percent === null) return stateInWords(model)
  const step = Math.floor(percent / STEP_PERCENT) * STEP_PERCENT
  return `${stateInWords(model)}, ${step} % of ${bytesInWords(totalBytes)}`
}

const drawModel = (model: ModelStatus): string =>
  model.progress?.percent == null ? stateInWords(model) : `${stateInWords(model)}  ${progressBar(model.progress)}`
