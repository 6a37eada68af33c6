/**
 * Keeps the list of ready replicas: a list of addresses, or all addresses of one name, looked up again and again as they come and go, and
 * each asked whether it is ready. One that was seen to be gone is left out at once.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

export type ReplicaWatchOptions = {
  /** Base addresses; one stands for all that its name has. */
  readonly urls: readonly string[]
  readonly onChange: (ready: readonly string[]) => void
  readonly find?: ((base: string) => Promise<string[]>) | undefined
  readonly everyMs?: number | undefined
}

const LOOK_EVERY_MS = 2000
/** While there is no replica at all. */
const SOON_MS = 250
const ANSWER_MS = 1000

export type ReplicaWatch = { lost(url: string): void; close(): void }

/** Starts to look, and goes on until it is closed. */
export function watchReplicas(options: ReplicaWatchOptions): ReplicaWatch {
  const { urls, onChange, find = findReplicas, everyMs = LOOK_EVERY_MS } = options
  const closing = new AbortController()
  let ready: readonly string[] = []
  let timer: NodeJS.Timeout | undefined
  const again = () => {
    clearTimeout(timer)
    if (closing.signal.aborted) return
    timer = setTimeout(() => void look(), ready.length > 0 ? everyMs : Math.min(SOON_MS, everyMs)).unref()
  }
  const change = (found: readonly string[]) => {
    ready = found
    if (!closing.signal.aborted) onChange(ready)
  }
  void look()

  /** Never rejects: a name that is not found stands for itself. */
  async function look(): Promise<void> {
    const found = [...new Set((await Promise.all(urls.map((url) => find(url)))).flat())]
    const answers = await Promise.all(found.map((url) => isReady(url, closing.signal)))
    change(found.filter((_url, at) => answers[at]))
    again()
  }

  return {
    lost(url) {
      if (!ready.includes(url)) return
      change(ready.filter((each) => each !== url))
      again()
    },
    close() {
      closing.abort()
      clearTimeout(timer)
    },
  }
}

/** Not when it says so, or says nothing; a server that doesn't know the question is. */
async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    const { status, body } = await fetch(`${url}/ready`, { redirect: 'manual', signal: limit })
    await body?.cancel()
    return status !== 503
  } catch {
    return false
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
