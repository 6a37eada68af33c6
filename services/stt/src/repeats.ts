/** Answers of the last minutes, so that the same recording with the same wishes is not heard twice. Bounded in number, size and time. */
import { createHash } from 'node:crypto'
import type { Answer } from './reply-formats.ts'

export type RepeatsOptions = {
  /** How long an answer is kept; 0 keeps none. */
  readonly seconds: number
  readonly now?: () => number
}

const MAX_ENTRIES = 256
/** Of answers as JSON. */
const MAX_CHARACTERS = 8_000_000
/** Larger files would keep the thread that serves from serving while their name is made. */
const MAX_FILE_BYTES = 4_194_304

type Entry = { readonly answer: Answer; readonly size: number; readonly until: number }

export class Repeats {
  readonly #options: RepeatsOptions
  readonly #now: () => number
  /** The one asked for last comes last. */
  readonly #entries = new Map<string, Entry>()
  #size = 0

  constructor(options: RepeatsOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** A name for these bytes and wishes, which tells nothing of either; null when nothing is kept of them. */
  key(file: Uint8Array, wishes: object): string | null {
    if (this.#options.seconds === 0 || file.length > MAX_FILE_BYTES) return null
    return createHash('sha256').update(JSON.stringify(wishes)).update('\0').update(file).digest('base64')
  }

  get(key: string | null): Answer | undefined {
    if (key === null) return undefined
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    this.#drop(key)
    if (entry.until <= this.#now()) return undefined
    this.#keep(key, entry)
    return entry.answer
  }

  set(key: string | null, answer: Answer): void {
    if (key === null) return
    this.#drop(key)
    const size = JSON.stringify(answer).length
    this.#keep(key, { answer, size, until: this.#now() + this.#options.seconds * 1000 })
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES && this.#size <= MAX_CHARACTERS) break
      this.#drop(oldest)
    }
  }

  #keep(key: string, entry: Entry): void {
    this.#entries.set(key, entry)
    this.#size += entry.size
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key)
    if (entry && this.#entries.delete(key)) this.#size -= entry.size
  }
}
