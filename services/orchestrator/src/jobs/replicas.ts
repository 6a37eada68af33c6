/**
 * Which stt replica gets the next job. Jobs that wait at the same time are gathered and go to one replica together, as many as its batch
 * still has places; then the least busy one is next. Only ready replicas get jobs: while there is none, jobs wait here.
 */
export const BATCH_SIZE = 4
/** After a failure, this long, others are asked first. */
const COOLING_MS = 5000

export type Replica = { readonly url: string; release(): void }

export type ReplicasOptions = {
  /** How long the first job of a batch waits for others; with 0 it goes with those that BullMQ fetched with it. */
  readonly windowMs: number
  /** How many jobs went to one replica together. */
  readonly onBatch?: ((size: number) => void) | undefined
  readonly now?: () => number
}

type Taker = { readonly avoid: readonly string[]; readonly take: (url: string) => void }

export class Replicas {
  readonly #options: ReplicasOptions
  readonly #now: () => number
  #ready: readonly string[] = []
  readonly #running = new Map<string, number>()
  readonly #coolingUntil = new Map<string, number>()
  readonly #takers = new Set<Taker>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: ReplicasOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  get ready(): readonly string[] {
    return this.#ready
  }

  /** Those that may get jobs from now on. */
  set ready(urls: readonly string[]) {
    this.#ready = urls
    this.#deal()
  }

  /** The next job's replica; one of `avoid` only when there is no other. Waits while none is ready; throws the signal's reason. */
  async take(avoid: readonly string[], signal: AbortSignal): Promise<Replica> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const taker = { avoid, take: resolve }
    const leave = () => {
      this.#takers.delete(taker)
      reject(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    this.#takers.add(taker)
    this.#gather()
    const url = await promise.finally(() => signal.removeEventListener('abort', leave))
    return { url, release: () => this.#count(url, -1) }
  }

  /** It failed a job: for a while others are asked first. */
  failed(url: string): void {
    this.#coolingUntil.set(url, this.#now() + COOLING_MS)
  }

  hasOtherThan(avoid: readonly string[]): boolean {
    return this.#ready.some((url) => !avoid.includes(url))
  }

  #gather(): void {
    const { windowMs } = this.#options
    if (this.#takers.size >= BATCH_SIZE) this.#deal()
    else if (this.#takers.size > 1 || this.#timer) return
    else if (windowMs > 0) this.#timer = setTimeout(() => this.#deal(), windowMs)
    else setImmediate(() => this.#deal())
  }

  #deal(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#ready.length === 0 || this.#takers.size === 0) return
    const sizes = new Map<string, number>()
    let url: string | undefined
    for (const { avoid, take } of this.#takers) {
      if (url === undefined || avoid.includes(url) || this.#runningAt(url) >= BATCH_SIZE) url = this.#best(avoid)
      this.#count(url, 1)
      sizes.set(url, (sizes.get(url) ?? 0) + 1)
      take(url)
    }
    this.#takers.clear()
    for (const size of sizes.values()) this.#options.onBatch?.(size)
  }

  #best(avoid: readonly string[]): string {
    const cost = (url: string) =>
      (avoid.includes(url) ? 1e9 : 0) +
      ((this.#coolingUntil.get(url) ?? -Infinity) > this.#now() ? 1e6 : 0) +
      this.#runningAt(url)
    return this.#ready.reduce((best, url) => (cost(url) < cost(best) ? url : best))
  }

  #runningAt = (url: string): number => this.#running.get(url) ?? 0

  #count(url: string, change: number): void {
    const count = this.#runningAt(url) + change
    if (count > 0) this.#running.set(url, count)
    else this.#running.delete(url)
  }
}
