/**
 * The limits on a stream from a server that may stall: on each wait, and on all of them together. Only waiting counts; the
 * time that the reader takes between two waits does not.
 */
import { within } from './limit.ts'

export type StallLimits = {
  /** Longest wait for one piece. */
  readonly stallMs: number
  /** For all waits of one stream together. */
  readonly totalMs: number
  readonly now?: () => number
}

/** One wait: settles with `work`, throws `deadline_exceeded` at the limit, or the signal's reason. `atMostMs` makes it shorter. */
export type LimitedWait = <T>(work: (signal: AbortSignal) => Promise<T>, atMostMs?: number) => Promise<T>

/** The waits of one stream. */
export function limitWaits({ stallMs, totalMs, now = () => performance.now() }: StallLimits, signal: AbortSignal) {
  let leftMs = totalMs
  const wait: LimitedWait = async (work, atMostMs = stallMs) => {
    const start = now()
    try {
      return await within(Math.min(stallMs, atMostMs, leftMs), signal, work)
    } finally {
      leftMs = Math.max(1, leftMs - (now() - start))
    }
  }
  return wait
}
