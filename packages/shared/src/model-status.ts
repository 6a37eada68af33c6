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

/** How much of a download had come from the hub at a time, from which its end is foreseen. */
export type Milestone = { readonly bytes: number; readonly atMs: number }

/** Bytes that came over the network: those that were found in the cache say nothing of its speed. */
const cameFrom = ({ bytes, downloadedBytes = bytes }: DownloadProgress): number => downloadedBytes

/** Milliseconds until the download ends at its speed since `first`; null while unknown. */
export function remainingMs(progress: ModelStatus['progress'], first: Milestone | null, nowMs: number): number | null {
  if (!progress || !first || cameFrom(progress) <= first.bytes) return null
  const msPerByte = (nowMs - first.atMs) / (cameFrom(progress) - first.bytes)
  return Math.max(0, progress.totalBytes - progress.bytes) * msPerByte
}

/** Of all bytes, rounded down; null while nobody knows how many there are. */
export const percentOf = ({ bytes, totalBytes }: DownloadProgress): number | null =>
  totalBytes > 0 ? Math.min(100, Math.floor((100 * bytes) / totalBytes)) : null

/** `progress` with its percent and, once something moved, its speed since `first` and how long it still takes. */
export function withRate(progress: DownloadProgress, first: Milestone | null, nowMs: number): DownloadProgress {
  const percent = percentOf(progress)
  const known = { ...progress, ...(percent !== null && { percent }) }
  const leftMs = remainingMs(progress, first, nowMs)
  if (leftMs === null || first === null || nowMs <= first.atMs) return known
  const bytesPerSecond = Math.round((1000 * (cameFrom(progress) - first.bytes)) / (nowMs - first.atMs))
  return { ...known, bytesPerSecond, secondsLeft: Math.ceil(leftMs / 1000) }
}

/** The first news of something that came from the hub; null before. */
export const milestoneOf = (progress: DownloadProgress, nowMs: number): Milestone | null =>
  cameFrom(progress) > 0 ? { bytes: cameFrom(progress), atMs: nowMs } : null

/** A model's state for people: what is read from the disk is not called a download. */
export function stateInWords({ state, progress }: Pick<ModelStatus, 'state' | 'progress'>): string {
  if (state !== 'fetching') return state
  return progress && cameFrom(progress) > 0 ? 'downloading' : 'finding its files'
}

const RETRY_MS = { least: 1000, usual: 5000, longest: 30_000 } as const

/** `model_loading` with `loading` beside the error: `progress` in percent, the fields that are known (LocalAI's names). */
export function stillLoading(status: ModelStatus, etaMs: number | null): AppError {
  const { id, state, progress } = status
  const etaSeconds = etaMs === null ? null : Math.ceil(etaMs / 1000)
  const percent = progress && percentOf(progress)
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
