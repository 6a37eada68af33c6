/** Where the clone is, and the one way to wait in these tests: ask again and again, with a limit. */
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export const ROOT = resolve(import.meta.dirname, '..')
const LIMIT_MS = 150_000
const POLL_MS = 50

/** Rejects when the limit for a whole start has passed. */
export async function untilTrue(ask: () => Promise<boolean>, pollMs = POLL_MS): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT_MS)
  while (!(await ask())) await pause(pollMs, undefined, { signal })
}
