/**
 * The page at `/`, for whoever asks for HTML, and its files under /web. They need no API key: the page asks its reader for it, and sends it
 * with each of its own requests.
 */
import { AppError } from '@hearth/shared/errors'
import type { AppEnv } from '@hearth/shared/http'
import type { Context, Hono } from 'hono'
import { accepts } from 'hono/accepts'
import type { PageFile, PageFiles } from './page-files.ts'

/** Paths that need no key. */
export const PAGE_PATHS = ['/', '/web/*']

/** Scripts, styles, sounds and connections of this address only, and no script out of a text. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const HEADERS = {
  'content-security-policy': PAGE_POLICY,
  'permissions-policy': 'microphone=(self), camera=(), geolocation=()',
  'referrer-policy': 'no-referrer',
}
const FOR_GOOD = 'public, max-age=31536000, immutable'

export type PageRoutesOptions = {
  /** What programs get at `/`. */
  readonly welcome: object
  /** Prepared while the rest of the service starts; without it only programs are answered. */
  readonly page?: Promise<PageFiles> | undefined
}

/** Adds `GET /` and `GET /web/:version/:file`. */
export function addPage(app: Hono<AppEnv>, { welcome, page }: PageRoutesOptions): void {
  app.get('/', async (c) => {
    c.header('vary', 'Accept')
    if (!page || !wantsHtml(c)) return c.json(welcome)
    const { version, document } = await page
    return send(c, document, { ...HEADERS, etag: `"${version}"`, 'cache-control': 'no-cache' })
  })

  app.get('/web/:version/:file', async (c) => {
    const files = await page
    const { version, file } = c.req.param()
    const found = files?.version === version ? files.files.get(file) : undefined
    if (!found) throw new AppError('not_found', 'no such file, or of another version: load the page again')
    return send(c, found, { etag: `"${version}"`, 'cache-control': FOR_GOOD })
  })
}

const wantsHtml = (c: Context): boolean =>
  accepts(c, { header: 'Accept', supports: ['application/json', 'text/html'], default: 'application/json' }) ===
  'text/html'

function send(
  c: Context,
  { type, bytes, gzip }: PageFile,
  headers: Record<string, string> & { etag: string },
): Response {
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  c.header('x-content-type-options', 'nosniff')
  c.header('vary', 'Accept, Accept-Encoding')
  if (c.req.header('if-none-match') === headers.etag) return c.body(null, 304)
  c.header('content-type', type)
  if (!/\bgzip\b/.test(c.req.header('accept-encoding') ?? '')) return c.body(bytes)
  c.header('content-encoding', 'gzip')
  return c.body(gzip)
}
