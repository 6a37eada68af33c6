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

const COMING: readonly State[] = ['idle', 'fetching', 'loading', 'warming']

/**
 * Whether requests may be sent here: the model is warm, or it is to come behind them (`background`, `lazy`) and they are held. Not after a
 * failure, whatever the policy: until a later attempt has worked, requests are better sent elsewhere.
 */
export const isServing = ({ state, preload = 'eager', error, optional = false }: ModelStatus): boolean =>
  optional || state === 'ready' || (preload !== 'eager' && error === null && COMING.includes(state))

/** What a model store tells while it brings files. */
export type FetchProgress = Pick<ModelProgress, 'bytes' | 'totalBytes' | 'downloadedBytes' | 'files'>

/** How much of a download had come from the hub at a time, from which its end is foreseen. */
export type Milestone = { readonly bytes: number; readonly atMs: number }

/** Bytes that came over the network: those that were found in the cache say nothing of its speed. */
const cameFrom = ({ bytes, downloadedBytes = bytes }: FetchProgress): number => downloadedBytes

/** The first news of something that came from the hub; null before. */
export const milestoneOf = (news: FetchProgress, nowMs: number): Milestone | null =>
  cameFrom(news) > 0 ? { bytes: cameFrom(news), atMs: nowMs } : null

/** Percent, speed since `first`, and the time until the end at that speed; null while unknown. The one place where they are reckoned. */
export function progressOf(news: FetchProgress, first: Milestone | null, nowMs: number): ModelProgress {
  const { bytes, totalBytes } = news
  const moved = first === null ? 0 : cameFrom(news) - first.bytes
  const bytesPerMs = first !== null && moved > 0 && nowMs > first.atMs ? moved / (nowMs - first.atMs) : null
  return {
    ...news,
    percent: totalBytes > 0 ? Math.min(100, Math.floor((100 * bytes) / totalBytes)) : null,
    bytesPerSecond: bytesPerMs === null ? null : Math.round(bytesPerMs * 1000),
    remainingMs: bytesPerMs === null ? null : Math.round(Math.max(0, totalBytes - bytes) / bytesPerMs),
  }
}

/** How far a model is, in the field names that LocalAI's clients know. `progress` is in percent; what is not known yet is left out. */
export function loadingOf({ id, state, progress }: ModelStatus) {
  const { percent = null, files, bytesPerSecond = null, remainingMs = null } = progress ?? {}
  return {
    model: id,
    state,
    progress: percent,
    ...(progress && { bytes_sent: progress.bytes, total_bytes: progress.totalBytes }),
    ...(files && { file_index: Math.min(files.done + 1, files.total), total_files: files.total }),
    ...(bytesPerSecond !== null && { bytes_per_second: bytesPerSecond }),
    ...(remainingMs !== null && { eta_seconds: Math.ceil(remainingMs / 1000) }),
  }
}

/** A model's state for people: what is read from the disk is not called a download. */
export function stateInWords({ state, progress }: Pick<ModelStatus, 'state' | 'progress'>): string {
  if (state !== 'fetching') return state
  return progress && cameFrom(progress) > 0 ? 'downloading' : 'finding its files'
}

const RETRY_MS = { least: 1000, usual: 5000, longest: 30_000 } as const

/** `model_loading` with `loading` beside the error, and when it is worth asking again. */
export function stillLoading(status: ModelStatus): AppError {
  const { id, progress, retryInMs } = status
  const { percent = null, remainingMs: etaMs = null } = progress ?? {}
  const known = [
    ...(percent === null ? [] : [`${percent} %`]),
    ...(etaMs === null ? [] : [`about ${Math.ceil(etaMs / 1000)} s left`]),
  ]
  const detail = [stateInWords(status), ...known].join(', ')
  const waitMs = etaMs ?? retryInMs
  return new AppError('model_loading', `${id} is not ready yet (${detail})`, {
    param: 'model',
    retryAfterMs: waitMs === undefined ? RETRY_MS.usual : Math.min(RETRY_MS.longest, Math.max(RETRY_MS.least, waitMs)),
    details: { loading: loadingOf(status) },
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

/** How a model that can be asked is told while what is around it is still warmed. */
export const readyButWarming = (status: ModelStatus): ModelStatus =>
  status.state === 'ready' ? { ...status, warming: true } : status

/** How a model that is ready is told while the services around it are not, so that nobody asks yet. */
export const stillWarming = (status: ModelStatus): ModelStatus =>
  status.state === 'ready' ? { ...status, state: 'warming' } : status
