/**
 * Work that several callers want at once is done once, and stops only when nobody wants it any more.
 * The idea: a caller's signal ends that caller's wait; the work has a signal of its own, which aborts when the last has left.
 */
import { orAborted } from './waits.ts'

type Flight<Result, Progress> = {
  readonly result: Promise<Result>
  readonly stop: AbortController
  readonly listeners: Set<(progress: Progress) => void>
  callers: number
  latest: Progress | undefined
}

type Work<Result, Progress> = (report: (progress: Progress) => void, signal: AbortSignal) => Promise<Result>

export class SingleFlight<Result, Progress> {
  readonly #flights = new Map<string, Flight<Result, Progress>>()

  /**
   * Joins the flight under `key`, or starts it with `work`. A late caller is told the latest progress at once. Rejects with
   * the signal's reason as soon as it aborts; a failed flight is forgotten, so the next caller starts a new one.
   */
  async join(
    key: string,
    work: Work<Result, Progress>,
    onProgress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Result> {
    signal.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#start(key, work)
    // A function of this caller's own, so that two callers may pass the same one.
    const listener = (progress: Progress): void => onProgress(progress)
    flight.callers += 1
    flight.listeners.add(listener)
    if (flight.latest !== undefined) onProgress(flight.latest)
    try {
      return await orAborted(flight.result, signal)
    } finally {
      flight.listeners.delete(listener)
      flight.callers -= 1
      if (flight.callers === 0) this.#end(key, flight)
    }
  }

  #start(key: string, work: Work<Result, Progress>): Flight<Result, Progress> {
    const stop = new AbortController()
    const listeners = new Set<(progress: Progress) => void>()
    const report = (progress: Progress): void => {
      flight.latest = progress
      for (const listener of listeners) listener(progress)
    }
    // Begun in a later microtask, so that `flight` is complete before the first report.
    const result = Promise.resolve().then(() => work(report, stop.signal))
    const flight: Flight<Result, Progress> = { result, stop, listeners, callers: 0, latest: undefined }
    this.#flights.set(key, flight)
    const forget = (): void => this.#forget(key, flight)
    result.then(forget, forget)
    return flight
  }

  #end(key: string, flight: Flight<Result, Progress>): void {
    this.#forget(key, flight)
    flight.stop.abort(new DOMException('nobody waits for it any more', 'AbortError'))
  }

  #forget(key: string, flight: Flight<Result, Progress>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
