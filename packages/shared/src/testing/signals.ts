/** Time and gates in tests' hands: nothing sleeps, nothing depends on how fast the machine is. */
import type { SetTimer } from '../batcher.ts'

export const never: AbortSignal = new AbortController().signal

/** A promise that opens by hand. */
export const gate = <T = void>() => Promise.withResolvers<T>()

/** Lets everything that is due in this turn of the event loop happen, `setImmediate` callbacks included. */
export const settle = (): Promise<void> => new Promise((done) => setImmediate(() => setImmediate(done)))

/** A clock that moves only when told. `timers` fire in order while it advances. */
export class ManualClock {
  #time = 0
  #timers: { at: number; done: () => void }[] = []

  readonly now = (): number => this.#time

  readonly setTimer: SetTimer = (done, ms) => {
    const timer = { at: this.#time + ms, done }
    this.#timers.push(timer)
    return () => (this.#timers = this.#timers.filter((other) => other !== timer))
  }

  /** Timers that wait, in milliseconds from now. */
  get pending(): number[] {
    return this.#timers.map((timer) => timer.at - this.#time)
  }

  advance(ms: number): void {
    this.#time += ms
    const due = this.#timers.filter((timer) => timer.at <= this.#time).toSorted((a, b) => a.at - b.at)
    this.#timers = this.#timers.filter((timer) => timer.at > this.#time)
    for (const timer of due) timer.done()
  }
}
