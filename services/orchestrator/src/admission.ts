/** How many turns are held at the same time: past the limit a newcomer is refused at once, instead of waiting too long for an answer. */
import { AppError } from '@hearth/shared/errors'

export class Admission {
  #limit: number
  #running = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get running(): number {
    return this.#running
  }

  /** Takes a place; the returned function gives it back, once. Throws `overloaded` when there is none. */
  enter(): () => void {
    if (this.#running >= this.#limit)
      throw new AppError('overloaded', `${this.#running} turns are running, and more are not taken`, {
        retryAfterMs: 1000,
      })
    this.#running++
    return once(() => this.#running--)
  }

  /** One place more until the returned function is called: for a turn that is to take none from people. */
  lend(): () => void {
    this.#limit++
    return once(() => this.#limit--)
  }
}

function once(end: () => void): () => void {
  let isOver = false
  return () => {
    if (!isOver) end()
    isOver = true
  }
}
