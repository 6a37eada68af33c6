/** What a client is still to read. It is bounded: who makes it waits for room, and a client that does not read for too long is let go. */
import { AppError } from '@hearth/shared/errors'
import { orAborted } from '@hearth/shared/waits'
import type { WebSocket } from 'ws'

export type OutboxLimits = {
  /** Unread bytes beyond which a turn waits. */
  readonly fullBytes: number
  /** Unread bytes beyond which there is no waiting. */
  readonly mostBytes: number
  /** How long a full client may take to read. */
  readonly slowMs: number
}

export class Outbox {
  readonly #client: WebSocket
  readonly #limits: OutboxLimits
  readonly #onSlow: () => void
  #drained = Promise.withResolvers<void>()
  #late: NodeJS.Timeout | undefined

  constructor(client: WebSocket, limits: OutboxLimits, onSlow: () => void) {
    this.#client = client
    this.#limits = limits
    this.#onSlow = onSlow
    client.once('close', () => this.#settle())
  }

  send(text: string): void {
    const { readyState, OPEN } = this.#client
    if (readyState !== OPEN) return
    this.#client.send(text, () => this.#look())
    if (this.#client.bufferedAmount > this.#limits.mostBytes) this.#onSlow()
    else if (this.#isFull) this.#late ??= setTimeout(this.#onSlow, this.#limits.slowMs)
  }

  /** Resolves when the client has read enough. Rejects with the signal's reason, or when the client has left. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#isFull) await orAborted(this.#drained.promise, signal)
    if (this.#client.readyState !== this.#client.OPEN) throw new AppError('cancelled', 'the client left')
  }

  get #isFull(): boolean {
    return this.#client.readyState === this.#client.OPEN && this.#client.bufferedAmount > this.#limits.fullBytes
  }

  #look(): void {
    if (!this.#isFull) this.#settle()
  }

  #settle(): void {
    clearTimeout(this.#late)
    this.#late = undefined
    this.#drained.resolve()
    this.#drained = Promise.withResolvers<void>()
  }
}
