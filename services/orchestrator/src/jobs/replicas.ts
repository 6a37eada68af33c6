/**
 * Which stt replica gets the next job. Jobs that wait at the same time are gathered and go to one replica together, as soon as its last
 * batch is over: one by one into the places that come free, they would be computed one by one. Only ready replicas get jobs.
 */
import { AppError } from '@hearth/shared/errors'

export const BATCH_SIZE = 4
/** After a failure, this long, others are asked first. */
const COOLING_MS = 5000
/** Jobs of one batch end together, and those that take their places come one by one, this long after each other at most. */
const GATHER_MS = 3
/** One job of a batch may be much longer than the others: this long their places are kept free for a whole batch. */
const PATIENCE_MS = 50

export type Replica = { readonly url: string; release(): void }

export type ReplicasOptions = {
  /** How long the first job of a batch waits for others; with 0 only as long as others follow those that just ended, and not at all when nothing runs. */
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
  /** Which deal was the last one that it had a part in. */
  readonly #lastDeal = new Map<string, number>()
  #deals = 0
  readonly #takers: Taker[] = []
  #timer: NodeJS.Timeout | undefined
  #dueAt = Infinity
  #releasedAt = -Infinity

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
    return {
      url,
      release: () => {
        this.#count(url, -1)
        this.#releasedAt = this.#now()
        this.#gather()
      },
    }
  }

  /** It failed a job: for a while others are asked first. */
  failed(url: string): void {
    this.#coolingUntil.set(url, this.#now() + COOLING_MS)
  }

  hasOtherThan(avoid: readonly string[]): boolean {
    return this.#ready.some((url) => !avoid.includes(url))
  }

  #gather(): void {
    if (this.#takers.length === 0) return
    const { windowMs } = this.#options
    if (this.#ready.length > 0 && !this.#ready.some((url) => this.#runningAt(url) === 0)) this.#dealIn(PATIENCE_MS)
    else if (this.#takers.length >= BATCH_SIZE) this.#deal(false)
    else this.#dealIn(windowMs === 0 && this.#isQuiet() ? 0 : windowMs || GATHER_MS)
  }

  /** Or sooner, if that was said before. */
  #dealIn(ms: number): void {
    const dueAt = this.#now() + ms
    if (dueAt >= this.#dueAt) return
    clearTimeout(this.#timer)
    this.#dueAt = dueAt
    const isForced = ms === PATIENCE_MS
    // Jobs that BullMQ fetched together come within one turn of the event loop.
    if (ms === 0) setImmediate(() => this.#dueAt === dueAt && this.#deal(isForced))
    else this.#timer = setTimeout(() => this.#deal(isForced), ms)
  }

  #isQuiet(): boolean {
    return this.#running.size === 0 && this.#now() - this.#releasedAt > GATHER_MS
  }

  /** `isForced`: also into the places that a batch still has. */
  #deal(isForced: boolean): void {
    clearTimeout(this.#timer)
    this.#dueAt = Infinity
    const takers = this.#takers.splice(0)
    if (this.#ready.length === 0) return leaveAll(takers)
    const sizes = new Map<string, number>()
    let url: string | undefined
    for (const taker of takers) {
      if (url === undefined || taker.avoid.includes(url) || this.#runningAt(url) >= BATCH_SIZE)
        url = this.#best(taker.avoid)
      if (!isForced && !sizes.has(url) && this.#runningAt(url) > 0) {
        this.#takers.push(taker)
        continue
      }
      this.#count(url, 1)
      this.#lastDeal.set(url, ++this.#deals)
      sizes.set(url, (sizes.get(url) ?? 0) + 1)
      taker.take(url)
    }
    for (const size of sizes.values()) this.#options.onBatch?.(size)
    if (this.#takers.length > 0) this.#dealIn(PATIENCE_MS)
  }

  /** Of equally good ones the one that waited longest. */
  #best(avoid: readonly string[]): string {
    const cost = (url: string) =>
      (avoid.includes(url) ? 1e9 : 0) +
      ((this.#coolingUntil.get(url) ?? -Infinity) > this.#now() ? 1e6 : 0) +
      this.#runningAt(url)
    const lastDeal = (url: string) => this.#lastDeal.get(url) ?? 0
    const isBetter = (url: string, best: string) =>
      cost(url) < cost(best) || (cost(url) === cost(best) && lastDeal(url) < lastDeal(best))
    return this.#ready.reduce((best, url) => (isBetter(url, best) ? url : best))
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
