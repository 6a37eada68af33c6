/** Listens, and stops in order: no new work, what is in flight finishes, then the service's own parts close one after another. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { constants } from 'node:os'
import type { Duplex } from 'node:stream'
import { getRequestListener, RequestError } from '@hono/node-server'
import type { Hono } from 'hono'
import { answerBrokenHttp } from './broken-http.ts'
import { Connections } from './drain.ts'
import { errorResponse } from './error-response.ts'
import { AppError } from './errors.ts'
import type { AppEnv } from './http.ts'
import { leave, leaveAtOnce } from './leave.ts'
import type { Log } from './telemetry.ts'

export type ServeOptions = {
  app: Hono<AppEnv>
  port: number
  hostname: string
  log: Log
  /** Called first, so that `/ready` can say 503 while requests in flight still finish. */
  onDrain?: () => void
  /** What to close once no request is in flight, in order; each runs even if one before it threw or hangs. */
  close: readonly (() => Promise<void>)[]
  /** Connections that ask for another protocol, such as WebSocket; without it they are answered as plain requests. */
  upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** How long requests in flight may take to finish. */
  drainMs?: number
  /** How long each of `close` may take. */
  closeMs?: number
  /** Where signals and fatal errors come from, and how to leave: the process, except in tests. */
  host?: ProcessHost
  limits?: Partial<Limits>
}

export type ProcessHost = {
  on(event: string, listener: (detail: unknown) => void): unknown
  off(event: string, listener: (detail: unknown) => void): unknown
  /** At once: whatever its threads are at. */
  exit(code: number, how: 'in order' | 'at once'): void
}

export type Served = { port: number; close: () => Promise<void> }

/** Tight limits of the HTTP server itself, in milliseconds, bytes and counts: slow or endless requests end here. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 120_000,
  keepAliveTimeout: 5_000,
  /** Between two bytes of a reply that its reader takes. */
  stallTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16_384,
  maxHeadersCount: 100,
  maxRequestsPerSocket: 1000,
  maxConnections: 1024,
}
export type Limits = typeof LIMITS

/** Starts listening. Throws `invalid_config` when the port is taken or not allowed. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { hostname, log } = options
  const { server, connections } = createHttpServer(options)
  await listen(server, options)
  const { port } = server.address() as AddressInfo
  const close = atMostOnce(() => shutDown(connections, options))
  const unwatch = watchProcess(options, close)
  log.info({ hostname, port }, 'listening')
  return { port, close: () => close().then(unwatch) }
}

function createHttpServer({ app, log, limits, upgrade }: ServeOptions): { server: Server; connections: Connections } {
  const all = { ...LIMITS, ...limits }
  // Without requireHostHeader Node answers a missing Host itself, without a body; the listener's error handler has one.
  const server = createServer({ ...all, requireHostHeader: false })
  server.maxHeadersCount = all.maxHeadersCount
  server.maxRequestsPerSocket = all.maxRequestsPerSocket
  server.maxConnections = all.maxConnections
  server.timeout = all.stallTimeout
  const connections = new Connections(server)
  const fetch = (request: Request, env: object): Response | Promise<Response> =>
    connections.isDraining ? errorResponse(stopping(), crypto.randomUUID()) : app.fetch(request, env)
  const listener = getRequestListener(fetch, { errorHandler: (error) => answerUnreadable(error, log) })
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    connections.began(incoming, outgoing)
    void listener(incoming, outgoing)
  }
  server.on('timeout', (socket: Socket) => connections.stalled(socket))
  server.on('request', answer)
  if (upgrade) server.on('upgrade', upgrade)
  // A client that asks before it sends its body is told to go on when somebody reads it (request-body.ts), or gets the refusal at once.
  server.on('checkContinue', answer)
  server.on('checkExpectation', answer)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (connections.isReplying(socket)) socket.destroy()
    else answerBrokenHttp(error, socket)
  })
  return { server, connections }
}

async function listen(server: Server, { port, hostname }: ServeOptions): Promise<void> {
  server.listen(port, hostname)
  try {
    await once(server, 'listening')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'is in use by another program' : `can't be opened (${code})`
    throw new AppError('invalid_config', `port ${port} on ${hostname} ${why}`, { cause })
  }
}

/** For the last lines of the log, which an end at once would lose. */
const FLUSH_MS = 500

const stopping = () => new AppError('draining', 'this service is stopping', { retryAfterMs: 1000 })

/** Whether every part has closed: else a thread may still be at work. */
async function shutDown(connections: Connections, options: ServeOptions): Promise<boolean> {
  const { log, onDrain, close, drainMs = 30_000, closeMs = 10_000 } = options
  log.info('draining')
  let isClosed = true
  const parts = [
    async () => onDrain?.(),
    () => connections.drain(drainMs),
    ...close.map((part) => within(part, closeMs)),
  ]
  for (const part of parts) {
    try {
      await part()
    } catch (err) {
      isClosed = false
      log.error({ err }, 'a part did not close')
    }
  }
  log.info('stopped')
  if (!isClosed) await within(() => new Promise((done) => log.flush(() => done())), FLUSH_MS)().catch(() => undefined)
  return isClosed
}

const within = (part: () => Promise<void>, limitMs: number) => async (): Promise<void> => {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`not closed after ${limitMs} ms`)), limitMs)
  try {
    await Promise.race([part(), late])
  } finally {
    clearTimeout(timer)
  }
}

const thisProcess: ProcessHost = {
  on: (event, listener) => process.on(event, listener),
  off: (event, listener) => process.off(event, listener),
  exit: (code, how) => (how === 'at once' ? leaveAtOnce(code) : leave(code)),
}

/**
 * SIGTERM and SIGINT drain, a second one ends the process with 128 and its number, as the system would; an error nobody caught drains too, because the state is unknown. Only a signal after a signal
 * forces: a parent that dies often closes its channel and sends one, and means the same by both.
 */
function watchProcess({ log, host = thisProcess }: ServeOptions, close: () => Promise<boolean>): () => void {
  let exitCode = 0
  let isStopping = false
  let isSignalled = false
  const stop = () => {
    if (isStopping) return
    isStopping = true
    void close().then((isClosed) => host.exit(exitCode, isClosed ? 'in order' : 'at once'))
  }
  const signalled = (signal: NodeJS.Signals) => () => {
    if (isSignalled) return host.exit(128 + constants.signals[signal], 'at once')
    isSignalled = true
    stop()
  }
  const failed = (err: unknown) => {
    log.fatal({ err }, 'unexpected error')
    exitCode = 1
    stop()
  }
  const listeners = {
    SIGTERM: signalled('SIGTERM'),
    SIGINT: signalled('SIGINT'),
    // The program that started this service talks to it over IPC; when that ends, the parent is gone.
    disconnect: stop,
    uncaughtException: failed,
    unhandledRejection: failed,
  }
  for (const [event, listener] of Object.entries(listeners)) host.on(event, listener)
  return () => {
    for (const [event, listener] of Object.entries(listeners)) host.off(event, listener)
  }
}

/** HTTP that could be parsed but not made a request of (no Host, an address that is none); whatever else escaped the app is a bug. */
function answerUnreadable(error: unknown, log: Log): Response {
  const requestId = crypto.randomUUID()
  if (error instanceof RequestError)
    return errorResponse(new AppError('invalid_request', 'expected a valid Host header and address'), requestId)
  log.error({ requestId, err: error }, 'request failed')
  return errorResponse(error, requestId)
}

function atMostOnce<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => (running ??= work())
}
