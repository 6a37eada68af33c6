/** How far the services are: asks each one's `GET /ready`, and puts the answers in words. */
import { setTimeout as pause } from 'node:timers/promises'
import { ReadyReport } from '@hearth/shared/api'
import type { ModelStatus } from '@hearth/shared/api'

const POLL_MS = 150
const ANSWER_LIMIT_MS = 2000
const MEBIBYTE = 2 ** 20

/** What is known of one service: its last report (null while it doesn't answer), and whether its process keeps dying. */
export type ServiceView = { readonly name: string; readonly report: ReadyReport | null; readonly isDown: boolean }

/** A service's own report, or null when it gives none within two seconds. */
export async function readReport(url: string, signal: AbortSignal): Promise<ReadyReport | null> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)])
  try {
    const answer = await fetch(`${url}/ready`, { signal: limit })
    return ReadyReport.parse(await answer.json())
  } catch {
    return null
  }
}

/** Asks until every service is ready, failed or down; each round of answers goes to `onRound`. Throws when aborted. */
export async function untilSettled(
  look: () => Promise<ServiceView[]>,
  onRound: (views: readonly ServiceView[]) => void,
  signal: AbortSignal,
  wait: () => Promise<unknown> = () => pause(POLL_MS, undefined, { signal }),
): Promise<ServiceView[]> {
  for (;;) {
    const views = await look()
    signal.throwIfAborted()
    onRound(views)
    if (views.every(isSettled)) return views
    await wait()
  }
}

const isSettled = ({ report, isDown }: ServiceView): boolean =>
  isDown ||
  (report !== null && (report.ready || report.models.some((model) => model.state === 'failed' && !model.optional)))

/** One line of all services' states; `percentStep` keeps it from changing with every block that arrives. */
export function describeProgress(views: readonly ServiceView[], percentStep: number): string {
  return views.map((view) => `${view.name} ${stateOf(view, percentStep)}`).join(' · ')
}

function stateOf({ report, isDown }: ServiceView, percentStep: number): string {
  if (isDown) return 'down'
  if (report === null) return 'starting'
  if (report.ready) return 'ready'
  const late = report.models.find((model) => model.state !== 'ready' && !model.optional)
  return late ? modelState(late, percentStep) : 'starting'
}

function modelState({ state, progress }: ModelStatus, percentStep: number): string {
  if (state !== 'fetching' || progress === null || progress.totalBytes === 0) return state
  const percent = Math.floor((100 * progress.bytes) / progress.totalBytes / percentStep) * percentStep
  return `fetching ${percent}% of ${(progress.totalBytes / MEBIBYTE).toFixed(0)} MiB`
}
