/** How much of each item of a reply has been heard: what is truncated when somebody speaks in between. Counted in samples, not by a clock. */

type Part = { readonly itemId: string; samples: number }

export class Heard {
  readonly #rateHz: number
  /** Handed to the player, oldest first. */
  readonly #parts: Part[] = []
  #played = 0

  constructor(rateHz: number) {
    this.#rateHz = rateHz
  }

  queued(itemId: string, samples: number): void {
    const last = this.#parts.at(-1)
    if (last?.itemId === itemId) last.samples += samples
    else this.#parts.push({ itemId, samples })
  }

  /** `samples`: all that the player has read since the beginning, or since `clear`. */
  playedTo(samples: number): void {
    this.#played = samples
  }

  /** Which item is being heard, and for how long it has been; null when everything has been heard to its end. */
  now(): { readonly itemId: string; readonly ms: number } | null {
    let before = 0
    for (const { itemId, samples } of this.#parts) {
      if (this.#played < before + samples)
        return { itemId, ms: Math.max(0, Math.floor(((this.#played - before) / this.#rateHz) * 1000)) }
      before += samples
    }
    return null
  }

  clear(): void {
    this.#parts.length = 0
    this.#played = 0
  }
}
