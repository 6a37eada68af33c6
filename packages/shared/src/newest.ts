/**
 * News that come faster than they are to be told: a reader gets the newest there is, at most one in `everyMs`, so a slow one skips and holds
 * nobody up. Urgent news are told at once.
 */
import { type SetTimer, systemTimer } from './waits.ts'

type Clock = { now?: () => number; setTimer?: SetTimer }

export class Newest<T> {
  readonly #everyMs: number
  readonly #now: () => number
  readonly #setTimer: SetTimer
  #news: { readonly value: T } | undefined
  #isUrgent = false
  #hasEnded = false
  #toldAtMs = -Infinity
  #wake: (() => void) | undefined

  constructor(everyMs: number, { now = () => performance.now(), setTimer = systemTimer }: Clock = {}) {
    this.#everyMs = everyMs
    this.#now = now
    this.#setTimer = setTimer
  }

  push(value: T, isUrgent = false): void {
    this.#news = { value }
    this.#isUrgent ||= isUrgent
    this.#wake?.()
  }

  /** What was pushed before is still read. */
  end(): void {
    this.#hasEnded = true
    this.#wake?.()
  }

  /** The newest value that was not read yet; `quiet` when none came for `quietMs`, `ended` after the last. */
  async next(quietMs: number): Promise<{ readonly value: T } | 'quiet' | 'ended'> {
    await this.#until(() => this.#news !== undefined, quietMs)
    if (this.#news) await this.#until(() => this.#isUrgent, this.#toldAtMs + this.#everyMs - this.#now())
    const news = this.#news
    this.#news = undefined
    this.#isUrgent = false
    if (news) this.#toldAtMs = this.#now()
    return news ?? (this.#hasEnded ? 'ended' : 'quiet')
  }

  /** Waits until it is so or the end has come, but no longer than `ms`. */
  async #until(isSo: () => boolean, ms: number): Promise<void> {
    if (ms <= 0 || this.#hasEnded || isSo()) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = () => {
      if (this.#hasEnded || isSo()) resolve()
    }
    const cancel = this.#setTimer(resolve, ms)
    await promise
    cancel()
    this.#wake = undefined
  }
}
