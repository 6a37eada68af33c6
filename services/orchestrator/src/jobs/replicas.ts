/**
 * The stt replicas and who gets the next job. Replicas are a list, or all addresses of one name, looked up again and again, as they
 * come and go. Jobs that start together go to one replica together, up to the size of its batch; otherwise the least busy one is next.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { AppError } from '@hearth/shared/errors'

export const BATCH_SIZE = 4
/** After a failure, this long, others are asked first. */
const COOLING_MS = 5000

export type Replica = { readonly url: string; release(): void }

export type ReplicaOptions = {
  /** How long the first job of a batch waits for others. */
  readonly windowMs: number
  readonly now?: () => number
}

type Taker = { readonly avoid: readonly string[]; readonly take: (url: string) => void }

export class Replicas {
  readonly #options: ReplicaOptions
  readonly #now: () => number
  #urls: readonly string[]
  readonly #running = new Map<string, number>()
  readonly #coolingUntil = new Map<string, number>()
  #takers: Taker[] = []

  constructor(urls: readonly string[], options: ReplicaOptions) {
    this.#urls = urls
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  get urls(): readonly string[] {
    return this.#urls
  }

  set urls(urls: readonly string[]) {
    if (urls.length > 0) this.#urls = urls
  }

  /** The next job's replica; one of `avoid` only when there is no other. */
  async take(avoid: readonly string[]): Promise<Replica> {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.#takers.push({ avoid, take: resolve })
    if (this.#takers.length === 1) this.#gather()
    const url = await promise
    return { url, release: () => this.#count(url, -1) }
  }

  /** It failed a job: for a while others are asked first. */
  failed(url: string): void {
    this.#coolingUntil.set(url, this.#now() + COOLING_MS)
  }

  hasOtherThan(avoid: readonly string[]): boolean {
    return this.#urls.some((url) => !avoid.includes(url))
  }

  #gather(): void {
    if (this.#options.windowMs > 0) setTimeout(() => this.#deal(), this.#options.windowMs)
    else setImmediate(() => this.#deal())
  }

  #deal(): void {
    const takers = this.#takers
    this.#takers = []
    let url = ''
    let dealt = 0
    for (const { avoid, take } of takers) {
      if (dealt % BATCH_SIZE === 0 || avoid.includes(url)) url = this.#best(avoid)
      dealt++
      this.#count(url, 1)
      take(url)
    }
  }

  #best(avoid: readonly string[]): string {
    const cost = (url: string) =>
      (avoid.includes(url) ? 1e9 : 0) +
      ((this.#coolingUntil.get(url) ?? -Infinity) > this.#now() ? 1e6 : 0) +
      (this.#running.get(url) ?? 0)
    const [first, ...others] = this.#urls
    if (first === undefined) throw new AppError('invalid_config', 'expected at least one stt replica')
    return others.reduce((best, url) => (cost(url) < cost(best) ? url : best), first)
  }

  #count(url: string, change: number): void {
    const count = (this.#running.get(url) ?? 0) + change
    if (count > 0) this.#running.set(url, count)
    else this.#running.delete(url)
  }
}

/** The addresses of all replicas behind one base address, `http://stt:8081`; the address itself when its host is no name, or unknown. */
export async function findReplicas(
  base: string,
  find: (host: string) => Promise<readonly { address: string }[]> = (host) => lookup(host, { all: true, family: 4 }),
): Promise<string[]> {
  const { protocol, hostname, port, pathname } = new URL(base)
  // A certificate is for a name.
  if (isIP(hostname) !== 0 || hostname.startsWith('[') || protocol === 'https:') return [base]
  const found = await find(hostname).catch(() => [])
  if (found.length <= 1) return [base]
  const path = pathname.replace(/\/+$/, '')
  return found.map(({ address }) => `${protocol}//${address}${port && `:${port}`}${path}`).toSorted()
}
