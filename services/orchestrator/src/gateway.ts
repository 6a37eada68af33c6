/**
 * The `/v1/*` of the model services on the orchestrator's address, so that a client needs one base URL. Bytes pass through in
 * both directions as they come: nothing is held here but the piece that is under way. Errors of a service are passed unchanged.
 */
import { HEADERS } from '@hearth/shared/api'
import type { ModelStatus } from '@hearth/shared/api'
import { AppError, toAppError } from '@hearth/shared/errors'
import { addServerTiming, replyStream, requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import type { Log } from '@hearth/shared/telemetry'
import type { Context, Hono } from 'hono'
import { addModelLists } from './gateway-models.ts'
import { Upload } from './gateway-upload.ts'
import { sendOnce } from './replica-send.ts'
import type { Send } from './replica-send.ts'

export type GatewayStage = 'stt' | 'tts' | 'embeddings'

export type GatewayOptions = {
  /** Base addresses without a trailing slash. */
  readonly services: Readonly<Record<GatewayStage, string>>
  /** The language models, for the list of models. */
  readonly models: () => readonly ModelStatus[]
  readonly log: Log
  /** How to reach a service; once, at the one address, when it is left out. */
  readonly send?: Send
  /** Longest wait for a service's next byte; a service holds a request for two minutes while its model loads. */
  readonly waitMs?: number
  /** Longest wait for a service's list of models. */
  readonly listMs?: number
}

const WAIT_MS = 150_000
const LIST_MS = 2000

const ROUTES = [
  ['POST', '/v1/audio/transcriptions', 'stt'],
  ['POST', '/v1/audio/translations', 'stt'],
  ['POST', '/v1/audio/speech', 'tts'],
  ['GET', '/v1/audio/voices', 'tts'],
  ['GET', '/v1/audio/models', 'tts'],
  ['POST', '/v1/embeddings', 'embeddings'],
] as const

/** All others stay here: cookies and keys are between the client and this address, hop-by-hop headers are this connection's. */
const REQUEST_HEADERS = 'accept content-type content-length idempotency-key prefer traceparent tracestate'.split(' ')
const REPLY_HEADERS = new Set(
  'content-type content-length content-disposition cache-control retry-after retry-after-ms preference-applied allow'.split(
    ' ',
  ),
)
/** This service sets its own. */
const OWN_HEADERS = new Set<string>([HEADERS.requestId, HEADERS.totalTime])

/** Adds the routes of the model services, and `/v1/models` over all of them. */
export function addGateway(app: Hono<AppEnv>, options: GatewayOptions): void {
  const { services, log, models, send = sendOnce, waitMs = WAIT_MS, listMs = LIST_MS } = options
  for (const [method, path, stage] of ROUTES)
    app.on(method, path, (c) => forward(c, { stage, url: services[stage], waitMs, log, send }))
  addModelLists(app, { services, models, listMs, log, send })
}

type Upstream = {
  readonly stage: GatewayStage
  readonly url: string
  readonly waitMs: number
  readonly log: Log
  readonly send: Send
}

/** Throws `dependency_unavailable` when the service is away or silent, what the request's body throws, or the client's leaving. */
async function forward(c: Context<AppEnv>, upstream: Upstream): Promise<Response> {
  const watch = new Watchdog(upstream.waitMs, requestSignal(c))
  const upload = new Upload(c, () => watch.arm())
  const attempt = (): RequestInit | null =>
    upload.isWhole
      ? {
          method: c.req.method,
          headers: requestHeaders(c),
          body: upload.stream(),
          duplex: 'half',
          redirect: 'error',
          signal: watch.signal,
        }
      : null
  try {
    const { search } = new URL(c.req.url)
    watch.arm()
    const reply = await upstream.send(`${upstream.url}${c.req.path}${search}`, attempt)
    upload.settle()
    watch.rest()
    tellTimes(c, upstream.stage, reply.headers)
    const { body, status } = reply
    const passed = body && replyStream(c, piecesOf(body, watch), upstream.log)
    if (!passed) watch.end()
    return new Response(passed, { status, headers: replyHeaders(reply.headers) })
  } catch (error) {
    upload.settle()
    watch.end()
    throw failure(error, upload.error, watch, upstream)
  }
}

/** What a failed call is: the caller's own doing (it left, its body broke off), else the service's. */
function failure(error: unknown, bodyError: unknown, { signal }: Watchdog, { stage }: Upstream): AppError {
  if (bodyError instanceof AppError) return bodyError
  if (bodyError instanceof Error && bodyError.cause instanceof AppError) return bodyError.cause
  if (signal.aborted && signal.reason instanceof AppError && signal.reason.code === 'cancelled') return signal.reason
  if (bodyError !== undefined)
    return new AppError('incomplete_body', 'the body ended before it was complete', { cause: bodyError })
  return unavailable(stage, signal.aborted ? toAppError(signal.reason).message : 'the service does not answer', error)
}

export const unavailable = (stage: string, why: string, cause?: unknown): AppError =>
  new AppError('dependency_unavailable', `${stage}: ${why}`, { cause, details: { stage }, retryAfterMs: 1000 })

async function* piecesOf(body: ReadableStream<Uint8Array>, watch: Watchdog): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader()
  try {
    for (;;) {
      watch.arm()
      const { done, value } = await reader.read()
      watch.rest()
      if (done) return
      yield value
    }
  } finally {
    watch.end()
  }
}

/** Those of a request that its service gets. */
export function requestHeaders(c: Context<AppEnv>): Headers {
  // Inflated here and sent on larger than it says, a compressed reply would gain nothing within one machine.
  const headers = new Headers({ [HEADERS.requestId]: c.get('requestId'), 'accept-encoding': 'identity' })
  for (const name of REQUEST_HEADERS) {
    const value = c.req.header(name)
    if (value !== undefined) headers.set(name, value)
  }
  return headers
}

/** Those of a service's reply that a client gets. */
export function replyHeaders(theirs: Headers): Headers {
  const headers = new Headers()
  const isInflated = theirs.has('content-encoding')
  for (const [name, value] of theirs) {
    const isPassed = REPLY_HEADERS.has(name) || (name.startsWith('x-') && !OWN_HEADERS.has(name))
    if (isPassed && !(isInflated && name === 'content-length')) headers.set(name, value)
  }
  return headers
}

/** The service's own entries, and its whole time under the stage's name. */
export function tellTimes(c: Context<AppEnv>, stage: GatewayStage, theirs: Headers): void {
  const entries = (theirs.get('server-timing') ?? '').split(', ').filter((entry) => /^(?!total;)[\w.-]+;/.test(entry))
  const total = theirs.get(HEADERS.totalTime)
  if (total !== null && /^[\d.]+$/.test(total)) entries.push(`${stage};dur=${total}`)
  if (entries.length > 0) addServerTiming(c, entries.join(', '))
}

/** Aborts its signal when the service lets us wait too long, or with the client's; only armed while we wait for the service. */
class Watchdog {
  readonly #limitMs: number
  readonly #stop = new AbortController()
  readonly #client: AbortSignal
  readonly #leave = () => this.#stop.abort(this.#client.reason)
  #timer: NodeJS.Timeout | undefined

  constructor(limitMs: number, client: AbortSignal) {
    this.#limitMs = limitMs
    this.#client = client
    if (client.aborted) this.#leave()
    client.addEventListener('abort', this.#leave, { once: true })
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  arm(): void {
    this.rest()
    const late = () => new AppError('deadline_exceeded', `no byte from the service within ${this.#limitMs} ms`)
    this.#timer = setTimeout(() => this.#stop.abort(late()), this.#limitMs)
  }

  rest(): void {
    clearTimeout(this.#timer)
  }

  /** Also ends the call to the service, if it isn't over. */
  end(): void {
    this.rest()
    this.#client.removeEventListener('abort', this.#leave)
    this.#stop.abort(new DOMException('nobody reads the reply any more', 'AbortError'))
  }
}
