/** How the stack is asked to end: Ctrl-C, SIGTERM, a closed terminal, or the death of the process that started it. */

/** One Ctrl-C arrives up to three times: from the terminal, from npm, and from the bootstrap. */
const SAME_REQUEST_MS = 700
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What this needs of `process`. */
export type SignalSource = {
  on(event: string, listener: () => void): unknown
  exit(code: number): void
}

/**
 * Calls `stop` at the first request and exits 0 when it is done; a later request calls `kill` and exits 1.
 * The signal that is returned aborts at the first request.
 */
export function onStopRequest(
  actions: { stop: () => Promise<void>; kill: () => void },
  source: SignalSource = process,
  now: () => number = () => performance.now(),
): AbortSignal {
  const stopping = new AbortController()
  let firstAt = 0
  const request = () => {
    if (!stopping.signal.aborted) {
      firstAt = now()
      stopping.abort(new Error('the stack was asked to stop'))
      void actions.stop().then(
        () => source.exit(0),
        () => source.exit(1),
      )
    } else if (now() - firstAt >= SAME_REQUEST_MS) {
      actions.kill()
      source.exit(1)
    }
  }
  for (const event of [...SIGNALS, 'disconnect']) source.on(event, request)
  return stopping.signal
}
