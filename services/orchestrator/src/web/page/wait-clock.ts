/** How long somebody waits for a first sound: since what they typed was sent, or since they stopped speaking. */
import type { Wait } from './latency.ts'
import { SpeechEnd } from './speech-end.ts'

export class WaitClock {
  readonly #now: () => number
  readonly #speech = new SpeechEnd()
  /** Of all sound that was sent over this connection. */
  #sentMs = 0
  #beganMs = 0
  #waiting: { readonly since: number; readonly isSpoken: boolean } | null = null

  constructor(now: () => number) {
    this.#now = now
  }

  /** Another connection counts its sound from the beginning. */
  reset(): void {
    this.#sentMs = 0
    this.#beganMs = 0
    this.#speech.clear()
  }

  sent(ms: number, level: number): void {
    this.#sentMs += ms
    this.#speech.heard(this.#sentMs, level)
  }

  typed(): void {
    this.#waiting = { since: this.#now(), isSpoken: false }
  }

  /** The button was let go. */
  released(): void {
    this.#waiting = { since: this.#now(), isSpoken: true }
  }

  /** Places in all sound that was sent, as the server tells them. */
  speechBegan(atMs: number): void {
    this.#beganMs = atMs
  }

  speechEnded(atMs: number): void {
    const quietMs = this.#sentMs - this.#speech.of(this.#beganMs, atMs)
    this.#waiting = { since: this.#now() - quietMs, isSpoken: true }
  }

  /** The first sound ends the wait; null when nobody waited. */
  soundBegan(): Wait | null {
    const waiting = this.#waiting
    this.#waiting = null
    return waiting && { ms: this.#now() - waiting.since, isSpoken: waiting.isSpoken }
  }
}
