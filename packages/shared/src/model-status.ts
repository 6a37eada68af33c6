/** What a model says about itself: which state may follow which, and the refusal a caller gets while it is not ready. */
import type { DownloadProgress, ModelStatus } from './api.ts'
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

const COMING: readonly State[] = ['idle', 'fetching', 'loading', 'warming']

/**
 * Whether requests may be sent here: the model is warm, or it is to come behind them (`background`, `lazy`) and they are held. Not after a
 * failure, whatever the policy: until a later attempt has worked, requests are better sent elsewhere.
 */
export const isServing = ({ state, preload = 'eager', error, optional = false }: ModelStatus): boolean =>
  optional || state === 'ready' || (preload !== 'eager' && error === null && COMING.includes(state))

/** Where a download stood at a time, from which its end is foreseen. */
export type Milestone = { readonly bytes: number; readonly atMs: number }

/** Milliseconds until the download ends at its speed since `first`; null while unknown. */
export function remainingMs(progress: ModelStatus['progress'], first: Milestone | null, nowMs: number): number | null {
  if (!progress || !first || progress.bytes <= first.bytes) return null
  const msPerByte = (nowMs - first.atMs) / (progress.bytes - first.bytes)
  return Math.max(0, progress.totalBytes - progress.bytes) * msPerByte
}

/** `progress` with its speed since `first`, and how long it still takes; without them before anything moved. */
export function withRate(progress: DownloadProgress, first: Milestone, nowMs: number): DownloadProgress {
  const leftMs = remainingMs(progress, first, nowMs)
  if (leftMs === null || nowMs <= first.atMs) return progress
  const bytesPerSecond = Math.round((1000 * (progress.bytes - first.bytes)) / (nowMs - first.atMs))
  return { ...progress, bytesPerSecond, secondsLeft: Math.ceil(leftMs / 1000) }
}

/** How far a model is, in the field names that LocalAI's clients know. `progress` is in percent; what is not known is left out. */
export function loadingOf({ id, state, progress }: ModelStatus) {
  const { bytes = 0, totalBytes = 0, fileIndex, totalFiles, bytesPerSecond, secondsLeft } = progress ?? {}
  return {
    model: id,
    state,
    progress: totalBytes > 0 ? Math.floor((100 * bytes) / totalBytes) : null,
    ...(progress && { bytes_sent: bytes, total_bytes: totalBytes }),
    ...(fileIndex !== undefined && { file_index: fileIndex }),
    ...(totalFiles !== undefined && { total_files: totalFiles }),
    ...(bytesPerSecond !== undefined && { bytes_per_second: bytesPerSecond }),
    ...(secondsLeft !== undefined && { eta_seconds: secondsLeft }),
  }
}

const RETRY_MS = { least: 1000, usual: 5000, longest: 30_000 } as const

/** `model_loading` with `loading` beside the error. `etaMs`: until the download ends; null while unknown. */
export function stillLoading(status: ModelStatus, etaMs: number | null): AppError {
  const { id, state, retryInMs } = status
  const loading = { ...loadingOf(status), ...(etaMs !== null && { eta_seconds: Math.ceil(etaMs / 1000) }) }
  const known = [
    ...(loading.progress === null ? [] : [`${loading.progress} %`]),
    ...(etaMs === null ? [] : [`about ${Math.ceil(etaMs / 1000)} s left`]),
  ]
  const detail = [state, ...known].join(', ')
  const waitMs = etaMs ?? retryInMs
  return new AppError('model_loading', `${id} is not ready yet (${detail})`, {
    param: 'model',
    retryAfterMs: waitMs === undefined ? RETRY_MS.usual : Math.min(RETRY_MS.longest, Math.max(RETRY_MS.least, waitMs)),
    details: { loading },
  })
}

/** `model_failed`: it failed again and again, so waiting longer helps nobody. */
export function keepsFailing(status: ModelStatus): AppError {
  const { id, error, retryInMs = 0 } = status
  return new AppError(
    'model_failed',
    `${id} can't be used: ${error ?? 'its last attempts failed'}; it is tried again`,
    {
      param: 'model',
      retryAfterMs: Math.max(RETRY_MS.least, retryInMs),
      details: { loading: loadingOf(status) },
    },
  )
}

/** How a warm model is told while its service still rehearses. */
export const stillWarming = (status: ModelStatus): ModelStatus =>
  status.state === 'ready' ? { ...status, state: 'warming' } : status
