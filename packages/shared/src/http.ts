/**
 * The one app factory: every service's HTTP has the same request ids, limits, error body, timings and probes. A route only does its own work
 * and throws.
 */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { ModelStatus } from './api.ts'
import { HEADERS } from './api.ts'
import { AppError, toAppError } from './errors.ts'
import type { Log, Metrics } from './telemetry.ts'

export type AppEnv = { Variables: { requestId: string; startedAt: number; serverTiming: string[] } }

export type AppOptions = {
  service: string
  /** For `/ready`: ready when every one of them is. */
  models: () => readonly ModelStatus[]
  /** True from the first SIGTERM: `/ready` then answers 503, so that nobody sends more. */
  isDraining?: () => boolean
  log: Log
  metrics: Metrics
  maxBodyBytes: number
  now?: () => number
}

/** A Hono app with the middleware and the probes every service has; the service adds its routes. */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.use(observe(options))
  app.use(limitBody(options.maxBodyBytes))
  app.onError((error, c) => answerError(c, error, options))
  app.notFound((c) => answerError(c, notFound(app, c), options))
  app.get('/health', (c) => c.json({ status: 'ok' }))
  app.get('/ready', (c) => {
    const models = options.models()
    const ready = !options.isDraining?.() && models.every((model) => model.state === 'ready')
    return c.json({ service: options.service, ready, models }, ready ? 200 : 503)
  })
  app.get('/metrics', async (c) => {
    const { registry } = options.metrics
    return c.body(await registry.metrics(), 200, { 'content-type': registry.contentType })
  })
  return app
}

/** Puts a model's times into the reply: `x-queue-time` and its kin (milliseconds), and into `Server-Timing`. */
export function setTimings(
  c: Context<AppEnv>,
  timings: { queueMs: number; inferenceMs: number; batchSize: number; model: string },
): void {
  c.header(HEADERS.model, timings.model)
  c.header(HEADERS.queueTime, timings.queueMs.toFixed(1))
  c.header(HEADERS.inferenceTime, timings.inferenceMs.toFixed(1))
  c.header(HEADERS.batchSize, String(timings.batchSize))
  addServerTiming(c, `queue;dur=${timings.queueMs.toFixed(1)}, inference;dur=${timings.inferenceMs.toFixed(1)}`)
}

/** Adds entries to this reply's `Server-Timing` header (W3C); the total comes by itself. */
export function addServerTiming(c: Context<AppEnv>, entries: string): void {
  c.get('serverTiming').push(entries)
}

/** Aborted when the client has left. */
export const requestSignal = (c: Context): AbortSignal => c.req.raw.signal

/** The error body (OpenAI's) with its headers. `x-should-retry` and `retry-after-ms` are what OpenAI's clients obey. */
export function errorResponse(thrown: unknown, requestId: string): Response {
  const error = toAppError(thrown)
  const headers = new Headers({ 'x-should-retry': String(error.retryable), [HEADERS.requestId]: requestId })
  if (error.retryAfterMs !== undefined) {
    headers.set('retry-after', String(Math.ceil(error.retryAfterMs / 1000)))
    headers.set('retry-after-ms', String(Math.ceil(error.retryAfterMs)))
  }
  if (error.code === 'method_not_allowed') headers.set('allow', String(error.details['allow']))
  const { allow: _, ...details } = error.details
  const { message, type, param, code } = error
  return Response.json(
    { error: { message, type, param, code }, ...details, request_id: requestId },
    { status: error.status, headers },
  )
}

function answerError(c: Context<AppEnv>, thrown: Error, options: AppOptions): Response {
  const error = toAppError(thrown)
  const requestId = c.get('requestId')
  if (error.status >= 500)
    options.log.error({ requestId, code: error.code, err: error.cause ?? error }, 'request failed')
  return errorResponse(error, requestId)
}

/** Request id in and out, total time, one log line and one metric per request; the label is the route, never the path. */
function observe(options: AppOptions): MiddlewareHandler<AppEnv> {
  const now = options.now ?? (() => performance.now())
  return async function observeRequest(c, next) {
    const startedAt = now()
    const given = c.req.header(HEADERS.requestId) ?? ''
    c.set('requestId', /^[\w.:-]{1,128}$/.test(given) ? given : crypto.randomUUID())
    c.set('startedAt', startedAt)
    c.set('serverTiming', [])
    await next()
    const ms = now() - startedAt
    const { method } = c.req
    const { status } = c.res
    c.res.headers.set(HEADERS.requestId, c.get('requestId'))
    c.res.headers.set(HEADERS.totalTime, ms.toFixed(1))
    c.res.headers.set('server-timing', [...c.get('serverTiming'), `total;dur=${ms.toFixed(1)}`].join(', '))
    const route = routeOf(c)
    options.metrics.observeRequest({ method: METHODS.has(method) ? method : 'other', route, status }, ms)
    const level = route === '/health' || route === '/ready' || route === '/metrics' ? 'debug' : 'info'
    options.log[level]({ requestId: c.get('requestId'), method, route, status, ms: Number(ms.toFixed(1)) }, 'request')
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The pattern that answered (`/v1/models/:id`), or `unmatched`. */
const routeOf = (c: Context): string => matchedRoutes(c).findLast(({ method }) => method !== 'ALL')?.path ?? 'unmatched'

/** Decides on Content-Length at once, and counts chunked bodies while they are read. Compressed bodies are refused, not inflated. */
function limitBody(maxBytes: number): MiddlewareHandler<AppEnv> {
  return async function limitRequestBody(c, next) {
    const encoding = c.req.header('content-encoding')
    if (encoding && encoding !== 'identity') throw new AppError('unsupported_encoding', 'expected an uncompressed body')
    const length = Number(c.req.header('content-length') ?? 0)
    if (length > maxBytes) throw tooLarge(maxBytes)
    if (c.req.header('transfer-encoding') !== undefined && c.req.raw.body) c.req.raw = countBody(c.req.raw, maxBytes)
    await next()
  }
}

const tooLarge = (maxBytes: number) => new AppError('body_too_large', `the body is larger than ${maxBytes} bytes`)

function countBody(request: Request, maxBytes: number): Request {
  let seen = 0
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      seen += chunk.byteLength
      if (seen > maxBytes) controller.error(tooLarge(maxBytes))
      else controller.enqueue(chunk)
    },
  })
  return new Request(request, { body: request.body?.pipeThrough(counter) ?? null, duplex: 'half' })
}

/** 404, or 405 with `Allow` when the path is known under another method. */
function notFound(app: Hono<AppEnv>, c: Context<AppEnv>): AppError {
  const allowed = [...METHODS].filter((method) => {
    const [handlers] = app.router.match(method, c.req.path)
    return handlers.some(([[, route]]) => route.method !== 'ALL')
  })
  if (allowed.length === 0) return new AppError('not_found', 'no such path')
  const allow = allowed.join(', ')
  return new AppError('method_not_allowed', `expected ${allow}, got ${c.req.method.slice(0, 16)}`, {
    details: { allow },
  })
}
