/**
 * Whose turn it is to be decoded: as many files at once as there are threads. Large ones are never in all of them, so that a clip does not wait
 * while hours of sound are read.
 */
import { AppError } from '@hearth/shared/errors'
import { orAborted } from '@hearth/shared/waits'

/** Less is decoded in a second or so: minutes of what is compressed, and half a minute of what is not. */
const LARGE_BYTES = 1_048_576

export type PlaceOptions = {
  /** Files that are decoded at the same time. */
  readonly threads: number
  /** Files that may wait; more are refused. */
  readonly maxWaiting?: number
}

type Waiting = { readonly isLarge: boolean; readonly go: () => void }

export class DecodePlaces {
  readonly #options: PlaceOptions
  readonly #waiting: Waiting[] = []
  #taken = 0
  #takenByLarge = 0

  constructor(options: PlaceOptions) {
    this.#options = options
  }

  /** Waits for a place, and resolves with what gives it back. Throws `overloaded` when too many wait, and the signal's reason. */
  async enter(fileBytes: number, signal: AbortSignal): Promise<() => void> {
    const isLarge = fileBytes > LARGE_BYTES
    const leave = () => this.#leave(isLarge)
    if (this.#hasRoom(isLarge)) this.#take(isLarge)
    else await this.#wait(isLarge, leave, signal)
    return leave
  }

  async #wait(isLarge: boolean, leave: () => void, signal: AbortSignal): Promise<void> {
    const { maxWaiting = 64 } = this.#options
    if (this.#waiting.length >= maxWaiting)
      throw new AppError('overloaded', `${maxWaiting} files wait to be decoded`, { retryAfterMs: 1000 })
    const turn = Promise.withResolvers<void>()
    const waiting = { isLarge, go: turn.resolve }
    this.#waiting.push(waiting)
    await orAborted(turn.promise, signal).catch((error: unknown) => {
      const at = this.#waiting.indexOf(waiting)
      if (at === -1) leave()
      else this.#waiting.splice(at, 1)
      throw error
    })
  }

  #hasRoom(isLarge: boolean): boolean {
    const { threads } = this.#options
    return this.#taken < threads && (!isLarge || this.#takenByLarge < Math.max(1, threads - 1))
  }

  #take(isLarge: boolean): void {
    this.#taken++
    if (isLarge) this.#takenByLarge++
  }

  /** The place goes to the first in line that may have it. */
  #leave(isLarge: boolean): void {
    this.#taken--
    if (isLarge) this.#takenByLarge--
    const at = this.#waiting.findIndex((each) => this.#hasRoom(each.isLarge))
    const [next] = at === -1 ? [] : this.#waiting.splice(at, 1)
    if (!next) return
    this.#take(next.isLarge)
    next.go()
  }
}
