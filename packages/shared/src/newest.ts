/** News that come faster than they are read: a reader gets the newest there is, so a slow one skips and holds nobody up. */
import { type SetTimer, systemTimer } from './waits.ts'

export class Newest<T> {
  readonly #setTimer: SetTimer
  #news: { readonly value: T } | undefined
  #hasEnded = false
  #wake: (() => void) | undefined

  constructor(setTimer = systemTimer) {
    this.#setTimer = setTimer
  }

  push(value: T): void {
    this.#news = { value }
    this.#wake?.()
  }

  /** What was pushed before is still read. */
  end(): void {
    this.#hasEnded = true
    this.#wake?.()
  }

  /** The newest value that was not read yet; `quiet` when none came for `ms`, `ended` after the last. */
  async next(ms: number): Promise<{ readonly value: T } | 'quiet' | 'ended'> {
    if (!this.#news && !this.#hasEnded) await this.#change(ms)
    const news = this.#news
    this.#news = undefined
    return news ?? (this.#hasEnded ? 'ended' : 'quiet')
  }

  async #change(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const cancel = this.#setTimer(resolve, ms)
    await promise
    cancel()
    this.#wake = undefined
  }
}
