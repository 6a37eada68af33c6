/**
 * What was said in sounds that a client refers to again: its own earlier recordings, which it sends anew with every request, and
 * our spoken replies, which it names by id. Kept for an hour, bounded; the oldest go first.
 */
import { createHash, randomUUID } from 'node:crypto'

export const KEPT_MS = 3_600_000

export type ChatAudioOptions = {
  readonly maxEntries?: number
  /** Of all texts together, in UTF-16 units. */
  readonly maxChars?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

type Entry = { readonly text: string; readonly expiresAtMs: number }

export class ChatAudio {
  readonly #entries = new Map<string, Entry>()
  readonly #maxEntries: number
  readonly #maxChars: number
  readonly #now: () => number
  #chars = 0

  constructor({ maxEntries = 10_000, maxChars = 4_000_000, now = Date.now }: ChatAudioOptions = {}) {
    this.#maxEntries = maxEntries
    this.#maxChars = maxChars
    this.#now = now
  }

  /** Keeps what was said; gives the moment, in milliseconds since 1970, until which it is kept. */
  set(id: string, text: string): number {
    const expiresAtMs = this.#now() + KEPT_MS
    this.#delete(id)
    this.#entries.set(id, { text, expiresAtMs })
    this.#chars += text.length
    this.#sweep()
    return expiresAtMs
  }

  get(id: string): string | undefined {
    this.#sweep()
    return this.#entries.get(id)?.text
  }

  /** All live equally long, so the first is the oldest. */
  #sweep(): void {
    for (const [id, { expiresAtMs }] of this.#entries) {
      const isTooMuch = this.#entries.size > this.#maxEntries || this.#chars > this.#maxChars
      if (!isTooMuch && expiresAtMs > this.#now()) return
      this.#delete(id)
    }
  }

  #delete(id: string): void {
    this.#chars -= this.#entries.get(id)?.text.length ?? 0
    this.#entries.delete(id)
  }
}

/** The id of a spoken reply; nobody else can guess it. */
export const newAudioId = (): string => `audio_${randomUUID().replaceAll('-', '')}`
export const isAudioId = (id: string): boolean => /^audio_[0-9a-f]{32}$/.test(id)

/** The same for the same bytes. */
export const soundKey = (sound: Uint8Array): string => `sha256:${createHash('sha256').update(sound).digest('hex')}`
