/**
 * `GET /v1/models/{id}/events`: how a model comes, as server-sent events, for progress bars and for whoever wants to be told. It goes on until the
 * client leaves, the service stops or an hour is over; browsers connect again by themselves.
 */
import type { ModelStatus } from './api.ts'
import { loadingOf } from './model-status.ts'
import { Newest } from './newest.ts'
import { type SetTimer, systemTimer } from './waits.ts'

export type EventSource = {
  readonly status: () => ModelStatus
  readonly watch: (listener: () => void) => () => void
}

const HEARTBEAT_MS = 15_000
const LONGEST_MS = 3_600_000
/** Between two events that tell nothing but progress. */
const PROGRESS_EVERY_MS = 250

/** The bytes of the reply. Ends when `draining` aborts. */
export async function* modelEvents(
  { status, watch }: EventSource,
  draining: AbortSignal,
  setTimer: SetTimer = systemTimer,
): AsyncGenerator<Uint8Array, void, void> {
  const news = new Newest<ModelStatus>(PROGRESS_EVERY_MS, { setTimer })
  const end = () => news.end()
  let state: string | undefined
  const tell = () => {
    const latest = status()
    news.push(latest, latest.state !== state)
    state = latest.state
  }
  const unwatch = watch(tell)
  const cancel = setTimer(end, LONGEST_MS)
  draining.addEventListener('abort', end, { once: true })
  if (draining.aborted) end()
  try {
    tell()
    for (;;) {
      const latest = await news.next(HEARTBEAT_MS)
      if (latest === 'ended') return
      yield encode(latest === 'quiet' ? ': still here\n\n' : event(latest.value))
    }
  } finally {
    unwatch()
    cancel()
    draining.removeEventListener('abort', end)
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

function event(status: ModelStatus): string {
  const { source, error, retryInMs } = status
  const data = {
    ...loadingOf(status),
    source,
    ...(error !== null && { error }),
    ...(retryInMs !== undefined && { retry_in_seconds: Math.ceil(retryInMs / 1000) }),
  }
  return `event: state\ndata: ${JSON.stringify(data)}\n\n`
}
