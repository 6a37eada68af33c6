/**
 * Requests over all replicas behind one name. A client that keeps its connections stays with the replica that it met first; here each
 * request goes to the least busy one that says it is ready, and when it finds nobody there, or one that is stopping, to another. What the
 * model services do changes nothing, so a request that got no answer may be sent again.
 */
import { findReplicas } from './jobs/replica-watch.ts'

/** What to send, asked at each attempt; null when it can't be sent again. */
export type Attempt = () => RequestInit | null

/** As `fetch`. Throws what the last attempt threw. */
export type Send = (address: string, attempt: Attempt) => Promise<Response>

export const sendOnce: Send = (address, attempt) => fetch(address, attempt() ?? {})

export type ReplicaSendOptions = {
  /** All addresses of a base address. */
  readonly find?: (base: string) => Promise<readonly string[]>
  readonly now?: () => number
}

/** Replicas come and go: after this long they are looked up again while requests go on, and after that long requests wait for it. */
const LIVE_MS = { fresh: 1000, usable: 5000 }
const READY_MS = 1000

export function createReplicaSend({
  find = findReplicas,
  now = () => performance.now(),
}: ReplicaSendOptions = {}): Send {
  const sets = new Map<string, ReplicaSet>()

  return async (address, attempt) => {
    const { origin } = new URL(address)
    const set = sets.get(origin) ?? new ReplicaSet(() => find(origin), now)
    sets.set(origin, set)
    const tried: string[] = []
    let init = attempt()
    for (;;) {
      const url = await set.take(tried)
      tried.push(url)
      const outcome = await set.run(url, () => fetch(url + address.slice(origin.length), init ?? {}))
      const isGood = outcome.response !== undefined && outcome.response.status !== 503
      if (isGood || init?.signal?.aborted || !set.hasOtherThan(tried) || (init = attempt()) === null)
        return outcome.response ?? Promise.reject(outcome.error)
      set.drop(url)
      await outcome.response?.body?.cancel()
    }
  }
}

type Outcome = { readonly response?: Response; readonly error?: unknown }

/** The addresses of one name. */
class ReplicaSet {
  readonly #find: () => Promise<readonly string[]>
  readonly #now: () => number
  #urls: readonly string[] = []
  #foundAt = -Infinity
  #finding: Promise<void> | undefined
  readonly #running = new Map<string, number>()

  constructor(find: () => Promise<readonly string[]>, now: () => number) {
    this.#find = find
    this.#now = now
  }

  /** The least busy address that was not tried; of equally busy ones the one that waited longest. */
  async take(tried: readonly string[]): Promise<string> {
    const ageMs = this.#now() - this.#foundAt
    if (ageMs > LIVE_MS.fresh || this.#urls.length === 0) this.#finding ??= this.#look()
    if (ageMs > LIVE_MS.usable || this.#urls.length === 0) await this.#finding
    const open = this.#urls.filter((url) => !tried.includes(url))
    const [first = '', ...others] = open.length > 0 ? open : this.#urls
    const chosen = others.reduce((best, url) => (this.#busy(url) < this.#busy(best) ? url : best), first)
    this.#urls = [...this.#urls.filter((url) => url !== chosen), chosen]
    return chosen
  }

  hasOtherThan(tried: readonly string[]): boolean {
    return this.#urls.some((url) => !tried.includes(url))
  }

  /** Until the next look. */
  drop(url: string): void {
    this.#urls = this.#urls.filter((one) => one !== url)
  }

  async run(url: string, work: () => Promise<Response>): Promise<Outcome> {
    this.#running.set(url, this.#busy(url) + 1)
    try {
      return { response: await work() }
    } catch (error) {
      return { error }
    } finally {
      const left = this.#busy(url) - 1
      if (left > 0) this.#running.set(url, left)
      else this.#running.delete(url)
    }
  }

  #busy(url: string): number {
    return this.#running.get(url) ?? 0
  }

  /** All of them when none says that it is ready: whoever waits longest for a model knows best why. */
  async #look(): Promise<void> {
    const found = await this.#find()
    const ready = found.length > 1 ? await readyOnes(found) : found
    const urls = ready.length > 0 ? ready : found
    const known = this.#urls.filter((url) => urls.includes(url))
    this.#urls = [...urls.filter((url) => !known.includes(url)), ...known]
    this.#foundAt = this.#now()
    this.#finding = undefined
  }
}

async function readyOnes(urls: readonly string[]): Promise<string[]> {
  const answers = await Promise.all(urls.map(async (url) => ({ url, isReady: await isReady(url) })))
  return answers.filter((answer) => answer.isReady).map(({ url }) => url)
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/ready`, { redirect: 'error', signal: AbortSignal.timeout(READY_MS) })
    await answer.arrayBuffer()
    return answer.ok
  } catch {
    return false
  }
}
