/** Every wait has a limit: the few ways in which Hearth waits, on a clock that tests can move. */

import { setImmediate as nextTurn } from 'node:timers/promises'

/** Calls `done` after `ms`; the returned function cancels. */
export type SetTimer = (done: () => void, ms: number) => () => void

export const systemTimer: SetTimer = (done, ms) => {
  const timer = setTimeout(done, ms)
  return () => clearTimeout(timer)
}

/** Waits for `work`, but no longer than `ms`. Rejects when `work` does so in time. */
export async function within(ms: number, work: Promise<unknown>, setTimer = systemTimer): Promise<void> {
  const late = Promise.withResolvers<void>()
  const cancel = setTimer(late.resolve, ms)
  await Promise.race([work, late.promise]).finally(cancel)
}

/** Settles with `work`, or rejects when `signal` aborts, whichever comes first: work that ignores its signal can't hold up the end. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener('abort', abort))
}

/** How long work may keep the event loop. */
const TURN_MS = 5

/**
 * For long work on the thread that serves: awaited between its steps, it lets the event loop turn once 5 ms have gone. Rejects then with the
 * signal's reason, if there is one.
 */
export function eventLoopTurns(signal: AbortSignal, now = () => performance.now()): () => Promise<void> {
  let turnEnds = now() + TURN_MS
  return async () => {
    if (now() < turnEnds) return
    await nextTurn()
    signal.throwIfAborted()
    turnEnds = now() + TURN_MS
  }
}

type Waiter = { resolve(): void; reject(reason: unknown): void }

/** Those who wait for one event. They go on in the order they came, and nothing of them stays. */
export class WaitingRoom {
  readonly #waiters = new Set<Waiter>()
  readonly #setTimer: SetTimer

  constructor(setTimer: SetTimer) {
    this.#setTimer = setTimer
  }

  get size(): number {
    return this.#waiters.size
  }

  /** Waits for `admit`. Rejects with `tooLate()` after `ms`, with the reason of `dismiss`, or with the signal's. */
  async wait(ms: number, tooLate: () => Error, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { resolve, reject }
    const leave = () => reject(signal.reason)
    const cancel = this.#setTimer(() => reject(tooLate()), ms)
    signal.addEventListener('abort', leave, { once: true })
    this.#waiters.add(waiter)
    try {
      await promise
    } finally {
      cancel()
      signal.removeEventListener('abort', leave)
      this.#waiters.delete(waiter)
    }
  }

  admit(): void {
    for (const waiter of this.#waiters) waiter.resolve()
  }

  dismiss(reason: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(reason)
  }
}
