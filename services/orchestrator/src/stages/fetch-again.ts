/**
 * One more try for a call that ended before any byte of an answer came: a connection that is refused or reset, a name that is not
 * found, a server's own failure. What a server refused (4xx), or wants asked later (Retry-After), is not asked again.
 */
import { setTimeout as pause } from 'node:timers/promises'

const PAUSE_MS = { least: 50, jitter: 100 }

/** `ask`, which is called twice at most. `signal` ends the pause between. */
export async function askAgain(ask: () => Promise<Response>, signal: AbortSignal): Promise<Response> {
  const first = await ask().catch(() => null)
  if (first && !isPassing(first)) return first
  await first?.body?.cancel()
  await pause(PAUSE_MS.least + Math.random() * PAUSE_MS.jitter, undefined, { signal })
  return ask()
}

/** As `fetch`, which it calls twice at most. */
export const fetchAgain = (
  input: Parameters<typeof fetch>[0],
  init: RequestInit & { readonly signal: AbortSignal },
): Promise<Response> => askAgain(() => fetch(input, init), init.signal)

const isPassing = ({ status, headers }: Response): boolean => status >= 500 && !headers.has('retry-after')
