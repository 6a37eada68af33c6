/** Listens, and stops in order: no new work, what is in flight finishes, then the service's own parts close one after another. */
import { once } from 'node:events'
import { STATUS_CODES, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import type { Hono } from 'hono'
import { AppError } from './errors.ts'
import type { AppEnv } from './http.ts'
import type { Log } from './telemetry.ts'

export type ServeOptions = {
  app: Hono<AppEnv>
  port: number
  hostname: string
  log: Log
  /** Called first, so that `/ready` can say 503 while requests in flight still finish. */
  onDrain?: () => void
  /** What to close once no request is in flight, in order; each runs even if one before it threw. */
  close: readonly (() => Promise<void>)[]
  /** How long requests in flight may take to finish. */
  drainMs?: number
  /** Where signals and fatal errors come from, and how to leave: the process, except in tests. */
  host?: ProcessHost
}

export type ProcessHost = {
  on(event: string, listener: (detail: unknown) => void): unknown
  exit(code: number): void
}

export type Served = { port: number; close(): Promise<void> }

/** Tight limits of the HTTP server itself, in milliseconds and counts: slow or endless requests end here. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 120_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16_384,
} as const

/** Starts listening. Throws `invalid_config` when the port is taken or not allowed. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { app, log, hostname } = options
  const server = createAdaptorServer({ fetch: app.fetch, hostname, serverOptions: LIMITS }) as Server
  server.maxHeadersCount = 100
  server.maxRequestsPerSocket = 1000
  server.on('clientError', answerBrokenRequest)
  closeAsTheyFinish(server)
  await listen(server, options)
  const { port } = server.address() as AddressInfo
  const close = atMostOnce(() => shutDown(server, options))
  watchProcess(options, close)
  log.info({ hostname, port }, 'listening')
  return { port, close }
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

/** A kept-alive connection that was busy when draining began would stay open for its whole idle time. */
function closeAsTheyFinish(server: Server): void {
  server.on('request', (_request, response) => {
    response.once('close', () => setImmediate(() => !server.listening && server.closeIdleConnections()))
  })
}

async function shutDown(server: Server, { log, onDrain, close, drainMs = 30_000 }: ServeOptions): Promise<void> {
  log.info('draining')
  onDrain?.()
  const ended = new Promise<void>((done) => server.close(() => done()))
  server.closeIdleConnections()
  const late = setTimeout(() => server.closeAllConnections(), drainMs)
  await ended
  clearTimeout(late)
  for (const step of close) await step().catch((err: unknown) => log.error({ err }, 'a part did not close'))
  log.info('stopped')
}

/** SIGTERM and SIGINT drain, a second one forces; an error nobody caught drains too, because the state is unknown. */
function watchProcess({ log, host = process }: ServeOptions, close: () => Promise<void>): void {
  let stopping = false
  const stop = (exitCode: number) => {
    if (stopping) return host.exit(1)
    stopping = true
    void close().finally(() => host.exit(exitCode))
  }
  host.on('SIGTERM', () => stop(0))
  host.on('SIGINT', () => stop(0))
  // The program that started this service talks to it over IPC; when that ends, the parent is gone.
  host.on('disconnect', () => stop(0))
  const fatal = (err: unknown) => {
    log.fatal({ err }, 'unexpected error')
    stop(1)
  }
  host.on('uncaughtException', fatal)
  host.on('unhandledRejection', fatal)
}

/** Malformed HTTP never reaches the app; its answer has the same body all the same. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  const message = STATUS_CODES[status] ?? 'Bad Request'
  const code = status === 408 ? 'request_timeout' : 'invalid_request'
  const body = JSON.stringify({
    error: { message, type: 'invalid_request_error', param: null, code },
    request_id: crypto.randomUUID(),
  })
  const head = `HTTP/1.1 ${status} ${message}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
  socket.end(head + body)
}

function atMostOnce(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => (running ??= work())
}
