/** What one start of a model takes, as it goes: told of each state that the model enters, it knows how long the one before lasted. */
import type { BootReport, ModelState } from './api.ts'

/** What a state that just ended is called in the report. */
const ENDED = { loading: 'fetchMs', warming: 'loadMs', ready: 'warmUpMs' } as const

export class BootClock {
  readonly #now: () => number
  #report: BootReport | undefined
  #startedMs = 0
  #enteredMs = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** Of the last start; undefined before the first. */
  get report(): BootReport | undefined {
    return this.#report
  }

  /** A model that begins with `fetching` begins a new report. */
  enter(state: ModelState): void {
    const nowMs = this.#now()
    if (state === 'fetching') {
      this.#report = newReport()
      this.#startedMs = nowMs
    } else if (this.#report && (state === 'loading' || state === 'warming' || state === 'ready'))
      this.#report = { ...this.#report, [ENDED[state]]: tenths(nowMs - this.#enteredMs) }
    if (this.#report && state === 'ready')
      this.#report = { ...this.#report, readyMs: tenths(nowMs - this.#startedMs), residentBytesAfter: residentBytes() }
    this.#enteredMs = nowMs
  }

  /** Nothing of the model is cold any more. */
  warm(): void {
    const warmMs = tenths(this.#now() - this.#startedMs)
    if (this.#report) this.#report = { ...this.#report, warmMs, residentBytesAfter: residentBytes() }
  }

  found({ bytes = null, downloadedBytes = 0 }: { bytes?: number | null; downloadedBytes?: number }): void {
    if (this.#report) this.#report = { ...this.#report, bytes, downloadedBytes }
  }
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10
const residentBytes = (): number => process.memoryUsage.rss()

const newReport = (): BootReport => ({
  startedAt: new Date().toISOString(),
  bytes: null,
  downloadedBytes: 0,
  fetchMs: null,
  loadMs: null,
  warmUpMs: null,
  readyMs: null,
  warmMs: null,
  residentBytesBefore: residentBytes(),
  residentBytesAfter: null,
})
