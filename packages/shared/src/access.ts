/**
 * Who may use a service: an API key for everything but the probes, and pages of other origins only where they are named. Without settings
 * everybody who reaches the port may, under an address or a local name (local-names.ts), and no page of another origin can read an answer or
 * change anything.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Context, MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'
import type { HttpBindings } from '@hono/node-server'
import type { Secret } from './config.ts'
import { AppError } from './errors.ts'
import { hostnameOf, isKnownName, isLocalPage, isOwnPage } from './local-names.ts'

export type AccessOptions = {
  /** Sent by clients as `Authorization: Bearer <key>`. */
  apiKey?: Secret | undefined
  /** Paths that need no key, beside the probes; `/web/*` is all of a folder. */
  openPaths?: readonly string[]
  /** Origins whose pages may call, such as `https://home.example`; `*` is every page there is. */
  allowedOrigins?: readonly string[]
  /** Names under which a service without a key may be called, beside addresses and local names. */
  allowedHosts?: readonly string[]
}

const PROBES = ['/health', '/ready']

/** Throws `unauthorized` before anything else is looked at. */
export function requireKey({ apiKey, openPaths = [] }: AccessOptions): MiddlewareHandler {
  const open = new Set([...PROBES, ...openPaths])
  const folders = openPaths.filter((path) => path.endsWith('/*')).map((path) => path.slice(0, -1))
  const isOpen = (path: string) => open.has(path) || folders.some((folder) => path.startsWith(folder))
  const isAllowed = keyCheck(apiKey)
  return async function requireApiKey(c, next) {
    if (!isOpen(c.req.path) && !isAllowed(bearerKey(c.req.header('authorization'))))
      throw new AppError('unauthorized', 'expected the API key as `Authorization: Bearer <key>`')
    await next()
  }
}

/**
 * Without a key, keeps pages of other sites from reaching a service on the user's machine or network, also by a name that was made to lead to it
 * (DNS rebinding). Throws `host_not_allowed`, and `origin_not_allowed` for what more than reads.
 */
export function requireKnownCaller(access: AccessOptions): MiddlewareHandler {
  return async function requireKnownNames(c, next) {
    const refusal = unknownHost(c.req.url, access)
    if (refusal) throw refusal
    if (!READS.has(c.req.method) && !mayWrite(c, access))
      throw new AppError('origin_not_allowed', 'pages of this origin may not use this service')
    await next()
  }
}

/** What is wrong with the name in that address. */
export function unknownHost(address: string, { apiKey, allowedHosts }: AccessOptions): AppError | null {
  if (apiKey || isKnownName(hostnameOf(address), allowedHosts)) return null
  const expected = 'an IP address, localhost, or a local name such as *.local, *.lan or *.internal'
  return new AppError('host_not_allowed', `expected as Host ${expected}; HEARTH_ALLOWED_HOSTS allows others`)
}

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Programs and extensions of browsers are no pages. */
function mayWrite(c: Context, { apiKey, allowedOrigins = [], allowedHosts }: AccessOptions): boolean {
  const origin = c.req.header('origin')
  const isPage = origin === 'null' || origin?.startsWith('http')
  if (apiKey || origin === undefined || !isPage) return true
  if (allowedOrigins.includes('*') || allowedOrigins.includes(origin)) return true
  return isOwnPage(origin, hostnameOf(c.req.url)) || isLocalPage(origin, allowedHosts)
}

/** Answers preflights of the named origins; for all others there are no headers, and the browser refuses. */
export function allowOrigins({ allowedOrigins = [] }: AccessOptions): MiddlewareHandler {
  if (allowedOrigins.length === 0) return (_c, next) => next()
  return cors({
    // In a list hono takes it for an origin of that name.
    origin: allowedOrigins.includes('*') ? '*' : [...allowedOrigins],
    allowHeaders: ['authorization', 'content-type', 'x-request-id', 'idempotency-key', 'prefer'],
    exposeHeaders: ['*'],
    maxAge: 600,
  })
}

/**
 * For what changes a service for everybody: with the key when there is one, else from this machine alone, and never by a page or through a
 * proxy. Throws `origin_not_allowed`, `unauthorized`.
 */
export function requireManager(apiKey: Secret | undefined): MiddlewareHandler {
  return async function requireManagement(c, next) {
    if (c.req.header('origin') !== undefined)
      throw new AppError('origin_not_allowed', 'pages may not change what this service holds')
    if (!mayManage(c, apiKey))
      throw new AppError(
        'unauthorized',
        apiKey
          ? 'expected the API key as `Authorization: Bearer <key>`'
          : 'expected a call from the machine itself; with HEARTH_API_KEY set, others may call with that key',
      )
    await next()
  }
}

/** Whether this request may change what the service holds, as `requireManager` asks. */
export function mayManage(c: Context, apiKey: Secret | undefined): boolean {
  if (c.req.header('origin') !== undefined) return false
  return apiKey ? keyCheck(apiKey)(bearerKey(c.req.header('authorization'))) : isLocal(c)
}

const LOOPBACK = /^(?:127\.|::ffff:127\.|::1$)/
/** What proxies add: the caller is then somebody else than who connects. */
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

function isLocal(c: Context): boolean {
  const { incoming } = (c.env ?? {}) as Partial<HttpBindings>
  const address = incoming?.socket.remoteAddress ?? ''
  return LOOPBACK.test(address) && PROXY_HEADERS.every((name) => c.req.header(name) === undefined)
}

/** Digests have one length and tell nothing of the key, so comparing them takes the same time for each wrong key. */
const digest = (key: string): Buffer => createHash('sha256').update(key).digest()

/** Whether what a caller gave is the key; anything is where there is none. */
export function keyCheck(apiKey: Secret | undefined): (given: string | undefined) => boolean {
  const wanted = apiKey && digest(apiKey.reveal())
  return (given) => !wanted || (given !== undefined && timingSafeEqual(digest(given), wanted))
}

/** The key in an `Authorization` header. */
export const bearerKey = (header: string | undefined): string | undefined => /^Bearer (\S+)$/i.exec(header ?? '')?.[1]
