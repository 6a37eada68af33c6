/**
 * A request's body on its way to a service: read only as fast as the service takes it. The beginning is kept, so that another replica can be
 * sent the whole when the first one goes away; a longer body is sent once.
 */
import type { AppEnv } from '@hearth/shared/http'
import { nodeOf } from '@hearth/shared/request-guard'
import type { Context } from 'hono'

const MAX_KEPT_BYTES = 2 ** 20

type Bytes = Uint8Array

export class Upload {
  readonly #pieces: AsyncGenerator<Bytes, void, void> | null
  /** From piece number `#dropped` on. */
  readonly #kept: Bytes[] = []
  #dropped = 0
  #readBytes = 0
  #isRead = false
  #isSettled = false
  #isCancelled = false
  #reading: Promise<void> | undefined
  #error: unknown

  /** `onPiece` is called as each piece arrives. */
  constructor(c: Context<AppEnv>, onPiece: () => void) {
    const source = c.req.raw.body
    // A client that asks before it sends is told to go on, as nobody here looks at the body first (see serve.ts).
    if (source && c.req.header('expect')?.toLowerCase() === '100-continue') nodeOf(c).outgoing?.writeContinue()
    this.#pieces = source && this.#arriving(source, onPiece)
  }

  /** What the body ended with, when that was an error. */
  get error(): unknown {
    return this.#error
  }

  /** Whether `stream` can give the body from its beginning. */
  get isWhole(): boolean {
    return this.#readBytes <= MAX_KEPT_BYTES && this.#error === undefined
  }

  /** The body from its beginning; null when the request has none. */
  stream(): ReadableStream<Bytes> | null {
    const pieces = this.#pieces
    if (pieces === null) return null
    let next = 0
    this.#isCancelled = false
    return new ReadableStream<Bytes>(
      {
        pull: async (controller) => {
          const piece = await this.#piece(next++, pieces)
          if (piece) controller.enqueue(piece)
          else controller.close()
        },
        cancel: () => {
          this.#isCancelled = true
          if (this.#isSettled) void pieces.return()
        },
      },
      { highWaterMark: 0 },
    )
  }

  /** There will be no other attempt: what is not wanted any more is not read either. */
  settle(): void {
    this.#isSettled = true
    if (this.#isCancelled) void this.#pieces?.return()
  }

  /** An attempt that failed may still wait for a piece: then both wait for the same one. */
  async #piece(number: number, pieces: AsyncGenerator<Bytes, void, void>): Promise<Bytes | undefined> {
    while (!this.#isRead && number >= this.#dropped + this.#kept.length)
      await (this.#reading ??= this.#read(pieces).finally(() => (this.#reading = undefined)))
    const piece = this.#kept[number - this.#dropped]
    if (this.#isSettled || !this.isWhole) this.#dropped += this.#kept.splice(0, number - this.#dropped + 1).length
    return piece
  }

  async #read(pieces: AsyncGenerator<Bytes, void, void>): Promise<void> {
    const { done, value } = await pieces.next()
    if (done) {
      this.#isRead = true
    } else {
      this.#kept.push(value)
      this.#readBytes += value.length
    }
  }

  async *#arriving(source: ReadableStream<Bytes>, onPiece: () => void): AsyncGenerator<Bytes, void, void> {
    try {
      for await (const piece of source) {
        onPiece()
        yield piece
      }
    } catch (error) {
      this.#error = error
      throw error
    }
  }
}
