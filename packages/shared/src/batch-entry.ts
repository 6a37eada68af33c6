/** One caller's place in a batcher: settles once, leaves when its signal aborts, and hands on the pieces of its row. */

export type BatchResult<Out> = { output: Out; queueMs: number; inferenceMs: number; batchSize: number }

export type EntryOptions<In, Piece> = {
  input: In
  signal: AbortSignal
  queuedAt: number
  onPiece: ((piece: Piece) => void) | undefined
  /** The caller has left; its promise is rejected already. */
  onLeave: () => void
}

export class BatchEntry<In, Out, Piece> {
  /** Replaced by the copy that a failed run gives back, because a run may take the buffers away. */
  input: In
  readonly signal: AbortSignal
  readonly queuedAt: number
  readonly result: Promise<BatchResult<Out>>
  readonly #settle = Promise.withResolvers<BatchResult<Out>>()
  readonly #onPiece: ((piece: Piece) => void) | undefined
  readonly #leave: () => void
  #settled = false
  #told = 0

  constructor({ input, signal, queuedAt, onPiece, onLeave }: EntryOptions<In, Piece>) {
    this.input = input
    this.signal = signal
    this.queuedAt = queuedAt
    this.result = this.#settle.promise
    this.#onPiece = onPiece
    this.#leave = () => {
      this.reject(signal.reason)
      onLeave()
    }
    signal.addEventListener('abort', this.#leave, { once: true })
  }

  get settled(): boolean {
    return this.#settled
  }

  resolve(result: BatchResult<Out>): void {
    if (this.#end()) this.#settle.resolve(result)
  }

  reject(reason: unknown): void {
    if (this.#end()) this.#settle.reject(reason)
  }

  /** Takes the pieces of one attempt. A second attempt repeats what the first one told already: that much is left out. */
  pieceTaker(): (piece: Piece) => void {
    let seen = 0
    return (piece) => {
      if (this.#settled || ++seen <= this.#told) return
      this.#told++
      try {
        this.#onPiece?.(piece)
      } catch (error) {
        this.reject(error)
      }
    }
  }

  #end(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.signal.removeEventListener('abort', this.#leave)
    return true
  }
}

/** A signal that aborts when every one of `signals` has, and the way to stop listening. */
export function whenAllAborted(signals: readonly AbortSignal[]): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController()
  const check = () => {
    if (signals.every((signal) => signal.aborted)) controller.abort(signals.at(-1)?.reason)
  }
  for (const signal of signals) signal.addEventListener('abort', check)
  return {
    signal: controller.signal,
    stop: () => signals.forEach((signal) => signal.removeEventListener('abort', check)),
  }
}
