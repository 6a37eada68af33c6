/** Ends what nobody has used for its time, however often that time begins anew. */
import type { SetTimer } from './waits.ts'

/** A timer that is to wait longer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export type IdleTimerOptions = {
  /** Until its time without use is over, from now; null while it is used, `Infinity` when it stays. */
  readonly leftMs: () => number | null
  readonly onIdle: () => void
  readonly setTimer: SetTimer
}

export class IdleTimer {
  readonly #options: IdleTimerOptions
  #cancel: (() => void) | undefined

  constructor(options: IdleTimerOptions) {
    this.#options = options
  }

  /** To be called at whatever may have changed the time that is left. */
  restart(): void {
    this.stop()
    const { leftMs, setTimer } = this.#options
    const inMs = leftMs()
    if (inMs === null || inMs === Infinity) return
    this.#cancel = setTimer(() => this.#fired(), Math.min(inMs, LONGEST_TIMER_MS))
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #fired(): void {
    if (this.#options.leftMs() === 0) this.#options.onIdle()
    else this.restart()
  }
}
