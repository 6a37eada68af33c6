/**
 * Work that emits, as a stream that is read. A channel holds what one side has made and the other has not taken yet; it is
 * bounded, so the faster side waits, and bound to a signal, so nobody waits for a side that has gone.
 */
import { traceHeaders, withTrace } from './stages/trace.ts'

/** A first-in first-out queue between two async functions. After an abort both ends throw the signal's reason. */
export class Channel<T> implements AsyncIterable<T> {
  readonly #capacity: number
  readonly #signal: AbortSignal
  readonly #items: T[] = []
  #ended = false
  #changed = Promise.withResolvers<void>()

  constructor(capacity: number, signal: AbortSignal) {
    this.#capacity = capacity
    this.#signal = signal
    signal.addEventListener('abort', () => this.#tell(), { once: true })
  }

  /** Resolves once the item is in the queue; waits while the queue is full. */
  async push(item: T): Promise<void> {
    while (this.#items.length >= this.#capacity && !this.#signal.aborted) await this.#changed.promise
    this.#signal.throwIfAborted()
    this.#items.push(item)
    this.#tell()
  }

  /** No more items will come: the reader's loop ends after the last one. */
  end(): void {
    this.#ended = true
    this.#tell()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      this.#signal.throwIfAborted()
      const [item] = this.#items.splice(0, 1)
      if (item !== undefined) {
        this.#tell()
        yield item
      } else if (this.#ended) return
      else await this.#changed.promise
    }
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}

export type Emit<T> = (item: T) => Promise<void>

/**
 * Runs `work` and yields what it emits, at most `ahead` items before the reader. Throws what `work` throws; ending the loop
 * early, or `signal`, aborts the signal that `work` is given.
 */
export async function* streamOf<T>(
  ahead: number,
  signal: AbortSignal,
  work: (emit: Emit<T>, signal: AbortSignal) => Promise<void>,
): AsyncGenerator<T, void, void> {
  const stop = new AbortController()
  const either = withTrace(AbortSignal.any([signal, stop.signal]), traceHeaders(signal))
  const channel = new Channel<T>(ahead, either)
  work((item) => channel.push(item), either).then(
    () => channel.end(),
    (error: unknown) => stop.abort(error),
  )
  try {
    yield* channel
  } finally {
    stop.abort(new DOMException('the reader has left', 'AbortError'))
  }
}

/** `items` as they come, each wait for the next one run through `time`. */
export async function* eachTimed<T>(
  items: AsyncIterable<T>,
  time: (next: () => Promise<IteratorResult<T>>) => Promise<IteratorResult<T>>,
): AsyncGenerator<T, void, void> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await time(() => iterator.next())
      if (done) return
      yield value
    }
  } finally {
    await iterator.return?.()
  }
}

/** `items`, and `end` once nobody takes any more, however that came about. They must have begun: see `startingWith`. */
export async function* endingWith<T>(
  items: AsyncGenerator<T, void, void>,
  end: () => void,
): AsyncGenerator<T, void, void> {
  try {
    yield* items
  } finally {
    end()
  }
}

/** `first` and then `rest`, which has begun already, so that `return` runs to its end even when nobody takes a second item. */
export function startingWith<T>(
  first: IteratorResult<T, void>,
  rest: AsyncGenerator<T, void, void>,
): AsyncIterator<T, void, void> {
  let isFirst = true
  return {
    async next() {
      if (!isFirst) return rest.next()
      isFirst = false
      return first
    },
    return: () => rest.return(),
  }
}
