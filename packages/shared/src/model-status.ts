/** What a model says about itself: which state may follow which, and the refusal a caller gets while it is not ready. */
import type { ModelProgress, ModelStatus } from './api.ts'
import { AppError } from './errors.ts'

export type State = ModelStatus['state']

/** Every allowed change of state. */
export const NEXT: Readonly<Record<State, readonly State[]>> = {
  idle: ['fetching', 'draining'],
  fetching: ['loading', 'failed', 'draining'],
  loading: ['warming', 'failed', 'draining'],
  warming: ['ready', 'failed', 'draining'],
  ready: ['failed', 'draining'],
  failed: ['fetching', 'draining'],
  draining: ['stopped'],
  stopped: [],
}

export const idleStatus = (id: string): ModelStatus => ({
  id,
  source: null,
  state: 'idle',
  progress: null,
  loadMs: null,
  firstInferenceMs: null,
  secondInferenceMs: null,
  warning: null,
  error: null,
})

/** What a model store tells while it brings files. */
export type FetchProgress = Pick<ModelProgress, 'bytes' | 'totalBytes' | 'downloadedBytes'>

/** How much had come from the hub at a time, from which the end is foreseen. */
export type Milestone = { readonly downloadedBytes: number; readonly atMs: number }

/** Percent, speed since `first`, and the time until the end at that speed; null while unknown. The one place where they are reckoned. */
export function progressOf(news: FetchProgress, first: Milestone | null, nowMs: number): ModelProgress {
  const { bytes, totalBytes, downloadedBytes } = news
  const moved = first === null ? 0 : downloadedBytes - first.downloadedBytes
  const bytesPerMs = first !== null && moved > 0 && nowMs > first.atMs ? moved / (nowMs - first.atMs) : null
  return {
    bytes,
    totalBytes,
    downloadedBytes,
    percent: totalBytes > 0 ? Math.min(100, Math.floor((100 * bytes) / totalBytes)) : null,
    bytesPerSecond: bytesPerMs === null ? null : Math.round(bytesPerMs * 1000),
    remainingMs: bytesPerMs === null ? null : Math.round(Math.max(0, totalBytes - bytes) / bytesPerMs),
  }
}

/** A model's state for people: what is read from the disk is not called a download. */
export function stateInWords({ state, progress }: Pick<ModelStatus, 'state' | 'progress'>): string {
  if (state !== 'fetching') return state
  return progress && progress.downloadedBytes > 0 ? 'downloading' : 'finding its files'
}

const RETRY_MS = { least: 1000, usual: 5000, longest: 30_000 } as const

/** `model_loading` with `loading` beside the error: `progress` in percent, the fields that are known (LocalAI's names). */
export function stillLoading(status: ModelStatus): AppError {
  const { id, state, progress } = status
  const { percent = null, remainingMs: etaMs = null } = progress ?? {}
  const etaSeconds = etaMs === null ? null : Math.ceil(etaMs / 1000)
  const known = [
    ...(percent === null ? [] : [`${percent} %`]),
    ...(etaSeconds === null ? [] : [`about ${etaSeconds} s left`]),
  ]
  const detail = [stateInWords(status), ...known].join(', ')
  return new AppError('model_loading', `${id} is not ready yet (${detail})`, {
    param: 'model',
    retryAfterMs: etaMs === null ? RETRY_MS.usual : Math.min(RETRY_MS.longest, Math.max(RETRY_MS.least, etaMs)),
    details: {
      loading: {
        model: id,
        state,
        progress: percent,
        ...(progress && { bytes_sent: progress.bytes, total_bytes: progress.totalBytes }),
        ...(etaSeconds !== null && { eta_seconds: etaSeconds }),
      },
    },
  })
}

/** `model_failed`: it failed again and again, so waiting longer helps nobody. */
export function keepsFailing({ id, state, error }: ModelStatus, retryAfterMs: number): AppError {
  return new AppError(
    'model_failed',
    `${id} can't be used: ${error ?? 'its last attempts failed'}; it is tried again`,
    {
      param: 'model',
      retryAfterMs: Math.max(RETRY_MS.least, retryAfterMs),
      details: { loading: { model: id, state, progress: null } },
    },
  )
}

/** How a warm model is told while its service still rehearses. */
export const stillWarming = (status: ModelStatus): ModelStatus =>
  status.state === 'ready' ? { ...status, state: 'warming' } : status
