/** What a model says about itself: which state may follow which, and the refusal a caller gets while it is not ready. */
import type { ModelStatus } from './api.ts'
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

/** Where a download stood at a time, from which its end is foreseen. */
export type Milestone = { readonly bytes: number; readonly atMs: number }

/** Milliseconds until the download ends at its speed since `first`; null while unknown. */
export function remainingMs(progress: ModelStatus['progress'], first: Milestone | null, nowMs: number): number | null {
  if (!progress || !first || progress.bytes <= first.bytes) return null
  const msPerByte = (nowMs - first.atMs) / (progress.bytes - first.bytes)
  return Math.max(0, progress.totalBytes - progress.bytes) * msPerByte
}

const RETRY_MS = { least: 1000, usual: 5000, longest: 30_000 } as const

/** `model_loading` with `loading` beside the error: `progress` in percent, the fields that are known (LocalAI's names). */
export function stillLoading({ id, state, progress }: ModelStatus, etaMs: number | null): AppError {
  const etaSeconds = etaMs === null ? null : Math.ceil(etaMs / 1000)
  const percent = progress && progress.totalBytes > 0 ? Math.floor((100 * progress.bytes) / progress.totalBytes) : null
  const known = [
    ...(percent === null ? [] : [`${percent} %`]),
    ...(etaSeconds === null ? [] : [`about ${etaSeconds} s left`]),
  ]
  const detail = known.length > 0 ? `${state}, ${known.join(', ')}` : state
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
