/** How far the recordings are that are being heard, for whoever waits for a whole answer and wants to know meanwhile: the job queue. */
import type { HearingProgress } from '@hearth/shared/api'
import type { HeardPart } from './transcribe.ts'

const ID = /^[\w-]{1,80}$/

export class ProgressBook {
  readonly #entries = new Map<string, HearingProgress>()

  get(id: string): HearingProgress | undefined {
    return this.#entries.get(id)
  }

  /** The same parts; until they end, how far they are is known under `id`. What can't be an id is passed over. */
  follow<R>(
    parts: AsyncGenerator<HeardPart, R>,
    id: string | undefined,
    totalSeconds: number,
  ): AsyncGenerator<HeardPart, R> {
    return id !== undefined && ID.test(id) ? this.#followed(parts, id, totalSeconds) : parts
  }

  async *#followed<R>(
    parts: AsyncGenerator<HeardPart, R>,
    id: string,
    totalSeconds: number,
  ): AsyncGenerator<HeardPart, R> {
    const entry = { seconds: 0, total_seconds: totalSeconds }
    this.#entries.set(id, entry)
    try {
      for (;;) {
        const { done, value } = await parts.next()
        if (done) return value
        entry.seconds = value.endSeconds
        yield value
      }
    } finally {
      // A second request of that name has its own.
      if (this.#entries.get(id) === entry) this.#entries.delete(id)
      await parts.return(undefined as never)
    }
  }
}
