/**
 * Bull Board under `/queues`, for the operator: read only, and without what people said. It shows states, progress, times and errors; the
 * data and results of jobs are hidden.
 */
import { readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { HonoAdapter } from '@bull-board/hono'
import { AppError } from '@hearth/shared/errors'
import type { AppEnv } from '@hearth/shared/http'
import type { Hono, MiddlewareHandler } from 'hono'
import { redisAway } from '../redis.ts'
import type { JobQueue } from './queue.ts'

const DASHBOARD_PATH = '/queues'

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

/** Adds the pages. Whoever may call the app may see them: the key of `access` holds for them too. */
export function addDashboard(app: Hono<AppEnv>, { bull, isReady }: Pick<JobQueue, 'bull' | 'isReady'>): void {
  const adapter = new BullMQAdapter(bull, { readOnlyMode: true, allowRetries: false })
  for (const field of ['data', 'returnValue'] as const) adapter.setFormatter(field, () => '[hidden]')
  const serverAdapter = new HonoAdapter(serveFiles)
  serverAdapter.setBasePath(DASHBOARD_PATH)
  createBullBoard({ queues: [adapter], serverAdapter, options: { uiConfig: { boardTitle: 'Hearth' } } })
  const pages = serverAdapter.registerPlugin()
  // To the app's own error handler.
  pages.onError((error) => {
    throw error
  })
  // A queue without its Redis would never answer.
  app.use(`${DASHBOARD_PATH}/api/*`, (_c, next) => {
    if (!isReady()) throw redisAway('its connection is closed')
    return next()
  })
  app.route(DASHBOARD_PATH, pages)
}

type FileOptions = { root?: string; rewriteRequestPath?: (path: string) => string }

/** The pages' own files, and nothing beside them. */
function serveFiles({ root = '', rewriteRequestPath = (path) => path }: FileOptions): MiddlewareHandler {
  const folder = resolve(root)
  return async (c) => {
    const name = rewriteRequestPath(c.req.path)
    const isPlain = /^\/[\w./-]+$/.test(name) && !name.includes('..')
    const bytes = isPlain ? await readFile(`${folder}${name}`).catch(() => null) : null
    if (!bytes) throw new AppError('not_found', 'no such file of the dashboard')
    return c.body(new Uint8Array(bytes), 200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' })
  }
}
