/** What is kept of conversations, for those who want to see it or to have it forgotten: sessions, and single turns. */
import { GenerateFields } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import type { AppEnv } from '@hearth/shared/http'
import { check } from '@hearth/shared/request-body'
import type { Context, Hono } from 'hono'
import * as z from 'zod'
import { ANYBODY } from './sessions.ts'
import type { Sessions } from './sessions.ts'
import type { Turns } from './turns.ts'

export type SessionRoutesOptions = { readonly sessions: Sessions; readonly turns: Turns }

/** Whose sessions are meant. */
export const SessionQuery = z.strictObject({ user: GenerateFields.shape.user })

/** Adds `GET /sessions`, `GET` and `DELETE /sessions/:id`, all of the sessions of `?user=`, and `GET /turns/:id`. */
export function addSessionRoutes(app: Hono<AppEnv>, { sessions, turns }: SessionRoutesOptions): void {
  sessions.whenDeleted((born) => turns.forgetSession(born))

  app.get('/sessions', async (c) => {
    const { sessions: listed, trouble } = await sessions.list(ownerOf(c))
    return c.json({ sessions: listed, ...(trouble && { degraded: ['sessions'] }) })
  })

  app.get('/sessions/:id', async (c) => {
    const session = await sessions.read(ownerOf(c), c.req.param('id'))
    if (!session) throw noSession()
    return c.json(session)
  })

  app.delete('/sessions/:id', async (c) => {
    if (!(await sessions.delete(ownerOf(c), c.req.param('id')))) throw noSession()
    return c.body(null, 204)
  })

  app.get('/turns/:id', (c) => {
    const turn = turns.get(c.req.param('id'))
    if (!turn) throw new AppError('not_found', 'there is no such turn; turns are kept for an hour')
    return c.json(turn)
  })
}

const ownerOf = (c: Context<AppEnv>): string => check(c.req.query(), SessionQuery).user ?? ANYBODY

const noSession = () => new AppError('session_not_found', 'there is no such session')
