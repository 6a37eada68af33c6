/** Time and gates in tests' hands: nothing sleeps, nothing depends on how fast the machine is. */
import { getEventListeners } from 'node:events'
import type { SetTimer } from '../waits.ts'

export const never: AbortSignal = new AbortController().signal

/** A promise that opens by hand. */
export const gate = <T = void>() => Promise.withResolvers<T>()

/** Lets everything that is due in this turn of the event loop happen, `setImmediate` callbacks included. */
export const settle = (): Promise<void> => new Promise((done) => setImmediate(() => setImmediate(done)))

/** How many listeners wait for an abort: what a signal that outlives its requests must not collect. */
export const abortListeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

/** A clock that moves only when told. Timers fire in order while it advances, each at its own time. */
export class ManualClock {
  #time = 0
  #timers: { at: number; done: () => void }[] = []

  readonly now = (): number => this.#time

  readonly setTimer: SetTimer = (done, ms) => {
    const timer = { at: this.#time + ms, done }
    this.#timers.push(timer)
    return () => this.#remove(timer)
  }

  /** Timers that wait, in milliseconds from now. */
  get pending(): number[] {
    return this.#timers.map((timer) => timer.at - this.#time)
  }

  advance(ms: number): void {
    const end = this.#time + ms
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#remove(next)
      this.#time = Math.max(this.#time, next.at)
      next.done()
    }
    this.#time = end
  }

  #next(end: number) {
    return this.#timers.filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at)[0]
  }

  #remove(timer: { at: number; done: () => void }): void {
    this.#timers = this.#timers.filter((other) => other !== timer)
  }
}
