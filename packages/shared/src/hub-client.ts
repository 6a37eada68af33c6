/**
 * Asks a Hugging Face hub for files. The idea: an answer is a response to use, an AppError that names the file, or a
 * `Transient` worth trying again; no answer at all is `HubUnreachable`, because only that may lead to a demo model.
 */
import { connect } from 'node:net'
import { AppError } from './errors.ts'
import { COMMIT, type FileFacts } from './hub-cache.ts'
import { HubUnreachable, inWords, Transient, type HubOptions, type RemoteFile } from './hub-attempts.ts'

const MAX_REDIRECTS = 5
const MAX_RETRY_AFTER_MS = 60_000
const NO_CONNECTION = new Set(
  (
    'ENOTFOUND EAI_AGAIN EAI_NODATA ECONNREFUSED ENETUNREACH ENETDOWN EHOSTUNREACH EADDRNOTAVAIL ETIMEDOUT ' +
    'UND_ERR_CONNECT_TIMEOUT'
  ).split(' '),
)

/**
 * Asks for a file's facts without its content. Null when the hub has the repository and revision but not the file.
 * Throws AppError `model_not_found` (no such repository or revision, or not allowed) and `model_failed` (not a hub's answer).
 */
export async function describeFile(
  remote: RemoteFile,
  options: HubOptions,
  signal: AbortSignal,
): Promise<FileFacts | null> {
  return withStallLimit(options, signal, async (limited) => {
    const { response } = await send('HEAD', remote, {}, options, limited)
    if (response.status === 404 && !isRepositoryError(response)) return null
    if (response.status >= 400) throw refusal(response, true, remote, options)
    return readFacts(response, remote)
  })
}

/** `describeFile` as the first word with a hub: also HubUnreachable when nothing answers within `connectTimeoutMs`. */
export async function contactHub(
  remote: RemoteFile,
  options: HubOptions,
  signal: AbortSignal,
): Promise<FileFacts | null> {
  const limit = new AbortController()
  const cancel = options.setTimer(() => limit.abort(), options.connectTimeoutMs)
  const socket = probe(new URL(options.endpoint), cancel)
  try {
    return await describeFile(remote, options, AbortSignal.any([signal, limit.signal]))
  } catch (error) {
    signal.throwIfAborted()
    if (!limit.signal.aborted) throw error
    throw new HubUnreachable(`no connection within ${options.connectTimeoutMs} ms`)
  } finally {
    cancel()
    socket.destroy()
  }
}

/** Tells a hub that is slow to answer from one that isn't there. What goes wrong is left to the request to tell. */
function probe(endpoint: URL, onConnect: () => void): { destroy(): void } {
  const port = Number(endpoint.port) || (endpoint.protocol === 'https:' ? 443 : 80)
  const socket = connect({ host: endpoint.hostname.replace(/^\[|\]$/g, ''), port }, onConnect)
  socket.on('error', () => undefined)
  socket.unref()
  return socket
}

/** Starts the transfer of a file from byte `offset` on. Answers 200, 206 or 416; everything else throws as `describeFile`. */
export async function openFile(
  remote: RemoteFile,
  offset: number,
  options: HubOptions,
  signal: AbortSignal,
): Promise<Response> {
  const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {}
  const { response, isHub } = await send('GET', remote, range, options, signal)
  if ([200, 206, 416].includes(response.status)) return response
  await response.body?.cancel()
  throw refusal(response, isHub, remote, options)
}

/** The body as it comes; a connection that breaks is Transient. */
export async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  try {
    if (response.body !== null) yield* response.body
  } catch (error) {
    throw connectionError(error, false)
  }
}

/** Runs `work` under a signal that also aborts after `stallTimeoutMs` without a call of `touch`; that ends as Transient. */
export async function withStallLimit<T>(
  options: HubOptions,
  signal: AbortSignal,
  work: (limited: AbortSignal, touch: () => void) => Promise<T>,
): Promise<T> {
  const stall = new AbortController()
  const arm = (): (() => void) => options.setTimer(() => stall.abort(), options.stallTimeoutMs)
  let cancel = arm()
  const touch = (): void => {
    cancel()
    cancel = arm()
  }
  try {
    return await work(AbortSignal.any([signal, stall.signal]), touch)
  } catch (error) {
    signal.throwIfAborted()
    if (stall.signal.aborted) throw new Transient(`no bytes for ${options.stallTimeoutMs} ms`)
    throw error
  } finally {
    cancel()
  }
}

/** Follows redirects itself, because the token must not leave the hub's origin, nor come back to it from elsewhere. */
async function send(
  method: 'GET' | 'HEAD',
  remote: RemoteFile,
  headers: Record<string, string>,
  options: HubOptions,
  signal: AbortSignal,
): Promise<{ response: Response; isHub: boolean }> {
  let url = fileUrl(remote, options.endpoint)
  const hub = url.origin
  let isTrusted = true
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    isTrusted &&= url.origin === hub
    const authorization: Record<string, string> =
      isTrusted && options.token ? { authorization: `Bearer ${options.token}` } : {}
    const response = await options
      // Compressed, neither size nor range would be the file's.
      .fetch(url, {
        method,
        redirect: 'manual',
        signal,
        headers: { 'accept-encoding': 'identity', ...headers, ...authorization },
      })
      .catch((error: unknown) => {
        signal.throwIfAborted()
        throw connectionError(error, isTrusted)
      })
    const next = redirectTarget(response, url)
    if (next === null || (method === 'HEAD' && tellsFacts(response, next.origin !== url.origin))) {
      return { response, isHub: isTrusted }
    }
    await response.body?.cancel()
    url = next
  }
  throw new AppError(
    'dependency_unavailable',
    `the hub redirected more than ${MAX_REDIRECTS} times for ${inWords(remote)}`,
  )
}

function fileUrl({ id, revision, file }: RemoteFile, endpoint: string): URL {
  const path = file.split('/').map(encodeURIComponent).join('/')
  return new URL(`${endpoint.replace(/\/+$/, '')}/${id}/resolve/${encodeURIComponent(revision)}/${path}`)
}

function redirectTarget(response: Response, from: URL): URL | null {
  const location = response.headers.get('location')
  if (response.status < 300 || response.status >= 400 || location === null) return null
  const to = URL.parse(location, from.href)
  // fetch would also take data: and blob: addresses.
  if (to?.protocol === 'https:' || to?.protocol === 'http:') return to
  throw new Transient('redirected to an address that is not HTTP')
}

/** The hub gives a file's facts with its redirect to the store that has the content; the store itself doesn't know them. */
function tellsFacts(response: Response, isLeavingHub: boolean): boolean {
  const { headers } = response
  return headers.has('x-repo-commit') && (headers.has('x-linked-etag') || (isLeavingHub && headers.has('etag')))
}

function readFacts(response: Response, remote: RemoteFile): FileFacts {
  const { headers } = response
  const commit = headers.get('x-repo-commit') ?? ''
  const rawEtag = headers.get('x-linked-etag') ?? headers.get('etag') ?? ''
  const etag = rawEtag.replace(/^W\//, '').replace(/^"|"$/g, '')
  const length = headers.get('x-linked-size') ?? (response.ok ? headers.get('content-length') : null)
  const isPinnedElsewhere = COMMIT.test(remote.revision) && remote.revision !== commit
  // The etag becomes a file name.
  if (!COMMIT.test(commit) || isPinnedElsewhere || !/^[\w+=-][\w.+=-]{0,127}$/.test(etag)) {
    const expected = 'expected the headers x-repo-commit and etag of a Hugging Face hub'
    const got = `got status ${response.status}, x-repo-commit "${commit.slice(0, 64)}" and etag "${etag.slice(0, 64)}"`
    throw new AppError('model_failed', `${expected}, ${got} for ${inWords(remote)}`)
  }
  const size = length !== null && /^\d+$/.test(length) ? Number(length) : null
  return { commit, etag, isWeak: rawEtag.startsWith('W/'), size }
}

function refusal(response: Response, isHub: boolean, remote: RemoteFile, options: HubOptions): Error {
  const { status } = response
  const isRetryable = status === 408 || status === 429 || status >= 500
  // The store behind the hub refuses with 403 or 404 once its signed address has run out; the hub gives a new one.
  if (isRetryable || !isHub)
    return new Transient(`the hub answered ${status}`, { retryAfterMs: retryAfterMs(response) })
  if (status === 401 || status === 403) {
    const hint =
      options.token === undefined ? 'set HF_TOKEN if it is private or gated' : 'HF_TOKEN gives no access to it'
    return new AppError('model_not_found', `the hub answered ${status} for ${inWords(remote)}: ${hint}`)
  }
  if (status === 404) return notFound(remote)
  return new AppError('model_failed', `expected status 200 from the hub, got ${status} for ${inWords(remote)}`)
}

export const notFound = (remote: RemoteFile): AppError =>
  new AppError('model_not_found', `the hub has no ${inWords(remote)}`)

const isRepositoryError = (response: Response): boolean =>
  ['RepoNotFound', 'RevisionNotFound'].includes(response.headers.get('x-error-code') ?? '')

function retryAfterMs(response: Response): number {
  const value = response.headers.get('retry-after') ?? ''
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Math.min(Math.max(ms || 0, 0), MAX_RETRY_AFTER_MS)
}

function connectionError(error: unknown, isFirstHop: boolean): unknown {
  // fetch reports everything about the connection as a TypeError with the socket's error as its cause.
  if (!(error instanceof TypeError)) return error
  const code = codeOf(error.cause)
  const message = `the connection failed (${code || error.message})`
  return isFirstHop && NO_CONNECTION.has(code)
    ? new HubUnreachable(message, { cause: error })
    : new Transient(message, { cause: error })
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')
