/**
 * Which stt replica gets the next job. Jobs that wait at the same time are gathered and go to one replica together, as many as its batch
 * still has places; then the least busy one is next. Only ready replicas get jobs.
 */
import { AppError } from '@hearth/shared/errors'

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

type Taker = {
  readonly avoid: readonly string[]
  readonly take: (url: string) => void
  readonly leave: (error: AppError) => void
}

export class Replicas {
  readonly #options: ReplicasOptions
  readonly #now: () => number
  #ready: readonly string[] = []
  readonly #running = new Map<string, number>()
  readonly #coolingUntil = new Map<string, number>()
  #takers: Taker[] = []
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
  }

  /** The next job's replica; one of `avoid` only when there is no other. Throws `dependency_unavailable` while none is ready. */
  async take(avoid: readonly string[]): Promise<Replica> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    this.#takers.push({ avoid, take: resolve, leave: reject })
    this.#gather()
    const url = await promise
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
    if (this.#takers.length >= BATCH_SIZE) this.#deal()
    else if (this.#takers.length > 1 || this.#timer) return
    else if (windowMs > 0) this.#timer = setTimeout(() => this.#deal(), windowMs)
    else setImmediate(() => this.#deal())
  }

  #deal(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const takers = this.#takers
    this.#takers = []
    if (this.#ready.length === 0) return leaveAll(takers)
    const sizes = new Map<string, number>()
    let url: string | undefined
    for (const { avoid, take } of takers) {
      if (url === undefined || avoid.includes(url) || this.#runningAt(url) >= BATCH_SIZE) url = this.#best(avoid)
      this.#count(url, 1)
      sizes.set(url, (sizes.get(url) ?? 0) + 1)
      take(url)
    }
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

function leaveAll(takers: readonly Taker[]): void {
  for (const { leave } of takers) leave(new AppError('dependency_unavailable', 'stt: no replica is ready'))
}
