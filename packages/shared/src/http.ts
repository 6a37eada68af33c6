/**
 * The one app factory: every service's HTTP has the same request ids, limits, error body, timings and probes. A route only does its own work
 * and throws.
 */
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import { type AccessOptions, allowOrigins, requireKey, requireKnownCaller } from './access.ts'
import type { ModelStatus, StackReport } from './api.ts'
import { HEADERS } from './api.ts'
import { errorResponse } from './error-response.ts'
import { AppError, toAppError } from './errors.ts'
import { isServing } from './model-status.ts'
import { guard, type GuardOptions, nodeOf } from './request-guard.ts'
import type { Log, Metrics } from './telemetry.ts'

export type AppEnv = {
  Bindings: Partial<HttpBindings>
  Variables: { requestId: string; startedAt: number; serverTiming: string[]; code?: string; signal?: AbortSignal }
}

export type AppOptions = GuardOptions & {
  access?: AccessOptions
  service: string
  /** For `/ready`: ready when every one of them may be sent requests. */
  models: () => readonly ModelStatus[]
  /** True from the first SIGTERM: `/ready` then answers 503, so that nobody sends more. */
  isDraining?: () => boolean
  /** What `/ready?verbose` says beside the models. */
  details?: () => Promise<Partial<StackReport>>
  log: Log
  metrics: Metrics
  now?: () => number
}

/** A Hono app with the middleware and the probes every service has; the service adds its routes. */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.use(observe(options))
  const { access = {} } = options
  app.use(allowOrigins(access))
  app.use(requireKnownCaller(access))
  app.use(requireKey(access))
  app.use(guard(options))
  app.onError((error, c) => answerError(c, error, options.log))
  app.notFound((c) => answerUnmatched(app, c, options.log))
  app.get('/health', (c) => c.json({ status: 'ok' }))
  app.get('/ready', async (c) => {
    const models = options.models()
    const ready = !options.isDraining?.() && models.every(isServing)
    const report = { service: options.service, ready, models }
    const isVerbose = c.req.query('verbose') !== undefined
    const body = isVerbose ? { ...report, ...(await options.details?.()) } : { ...report, models: models.map(inShort) }
    return c.json(body, ready ? 200 : 503)
  })
  app.get('/metrics', async (c) => {
    const { registry } = options.metrics
    return c.body(await registry.metrics(), 200, { 'content-type': registry.contentType })
  })
  return app
}

function inShort(status: ModelStatus): ModelStatus {
  const { boot: _, ...short } = status
  return short
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

/** Aborted with `cancelled` when the client has left before its reply was complete. */
export function requestSignal(c: Context<AppEnv>): AbortSignal {
  const known = c.get('signal')
  if (known) return known
  const controller = new AbortController()
  const leave = () => controller.abort(new AppError('cancelled', 'the client left before its reply was complete'))
  const { outgoing } = nodeOf(c)
  const { signal } = c.req.raw
  // From Node's own reply: the Request's signal aborts with a text, which nobody expects to be thrown.
  if (outgoing?.destroyed || signal.aborted) leave()
  else if (outgoing) outgoing.once('close', () => outgoing.writableFinished || leave())
  else signal.addEventListener('abort', leave, { once: true })
  c.set('signal', controller.signal)
  return controller.signal
}

/** Calls `done` once the reply has gone out whole, or nobody is there to read it any more. Without a server (a test's request) at once. */
export function onceReplied(c: Context<AppEnv>, done: () => void): void {
  const { outgoing } = nodeOf(c)
  if (!outgoing || outgoing.destroyed) done()
  else outgoing.once('close', done)
}

/**
 * How long the client wants to be held while a model loads, from `Prefer: wait=<seconds>` (RFC 7240); undefined when it doesn't say. What was
 * understood is told in `Preference-Applied`.
 */
export function holdMsOf(c: Context<AppEnv>): number | undefined {
  const [, seconds] = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[;,]|$)/i.exec(c.req.header('prefer') ?? '') ?? []
  if (seconds === undefined) return undefined
  c.header('preference-applied', `wait=${seconds}`)
  return 1000 * Number(seconds)
}

/**
 * `pieces` as the body of a streamed reply, taken only as fast as the client reads and ended when it leaves. When they fail, the failure is
 * logged and the connection cut: after the status has gone out, that is how a client sees that a reply is not whole.
 */
export function replyStream(
  c: Context<AppEnv>,
  pieces: AsyncIterator<Uint8Array>,
  log: Log,
): ReadableStream<Uint8Array> {
  const cut = (error: unknown, controller: ReadableStreamDefaultController<Uint8Array>) => {
    const { code, cause } = toAppError(error)
    if (code !== 'cancelled') log.warn({ requestId: c.get('requestId'), code, err: cause ?? error }, 'reply cut short')
    const { outgoing } = nodeOf(c)
    // Not by an error in the stream: the server would print it, and to where logs don't go.
    if (!outgoing) return controller.error(error)
    // After what was written in this turn has reached the socket.
    setImmediate(() => outgoing.socket?.destroySoon())
  }
  let [hasBegun, hasLeft] = [false, false]
  return new ReadableStream(
    {
      async pull(controller) {
        hasBegun = true
        try {
          const { done, value } = await pieces.next()
          if (hasLeft) return
          if (done) controller.close()
          else controller.enqueue(value)
        } catch (error) {
          cut(error, controller)
        }
      },
      async cancel() {
        hasLeft = true
        // A generator that was never asked does not come to its `finally`, and what was begun for it would never end.
        if (!hasBegun) pieces.next().catch(() => undefined)
        await pieces.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}

function answerError(c: Context<AppEnv>, thrown: unknown, log: Log): Response {
  const error = toAppError(thrown)
  const requestId = c.get('requestId')
  c.set('code', error.code)
  if (error.status >= 500) {
    const level = error.retryable ? 'warn' : 'error'
    log[level]({ requestId, code: error.code, err: error.cause ?? error }, 'request failed')
  }
  return errorResponse(error, requestId)
}

/** Request id in and out, total time, one log line and one metric per request; the label is the route, never the path. */
function observe({ log, metrics, now = () => performance.now() }: AppOptions): MiddlewareHandler<AppEnv> {
  return async function observeRequest(c, next) {
    const startedAt = now()
    const given = c.req.header(HEADERS.requestId) ?? ''
    const requestId = /^[\w.:-]{1,128}$/.test(given) ? given : crypto.randomUUID()
    c.set('requestId', requestId)
    c.set('startedAt', startedAt)
    c.set('serverTiming', [])
    try {
      await next()
    } catch (thrown) {
      // Hono hands only Errors to onError.
      c.res = answerError(c, thrown, log)
    }
    const ms = now() - startedAt
    const { method } = c.req
    const { status, headers } = c.res
    headers.set(HEADERS.requestId, requestId)
    headers.set(HEADERS.totalTime, ms.toFixed(1))
    headers.set('server-timing', [...c.get('serverTiming'), `total;dur=${ms.toFixed(1)}`].join(', '))
    const route = routeOf(c)
    metrics.observeRequest({ method: METHODS.has(method) ? method : 'other', route, status }, ms)
    const code = c.get('code')
    log[PROBES.has(route) ? 'debug' : 'info'](
      { requestId, method, route, status, ...(code && { code }), ms: Number(ms.toFixed(1)) },
      'request',
    )
  }
}

const PROBES = new Set(['/health', '/ready', '/metrics'])
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The pattern that answered (`/v1/models/:id`), or `unmatched`. */
const routeOf = (c: Context): string => matchedRoutes(c).findLast(({ method }) => method !== 'ALL')?.path ?? 'unmatched'

/** 404; or, when the path is known under another method, 405 with `Allow`. OPTIONS asks just for that, and gets no CORS permission. */
function answerUnmatched(app: Hono<AppEnv>, c: Context<AppEnv>, log: Log): Response {
  const known = [...METHODS].filter((method) => {
    const [handlers] = app.router.match(method, c.req.path)
    return handlers.some(([[, route]]) => route.method !== 'ALL')
  })
  if (known.length === 0) return answerError(c, new AppError('not_found', 'no such path'), log)
  const allow = known.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
  if (c.req.method === 'OPTIONS') return c.body(null, 204, { allow })
  const message = `expected ${allow}, got ${c.req.method.slice(0, 16)}`
  return answerError(c, new AppError('method_not_allowed', message, { details: { allow } }), log)
}
