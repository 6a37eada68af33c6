/** What is kept of conversations, for those who want to see it or to have it forgotten: sessions, and single turns. */
import { AppError } from '@hearth/shared/errors'
import type { AppEnv } from '@hearth/shared/http'
import type { Hono } from 'hono'
import type { Sessions } from './sessions.ts'
import type { Turns } from './turns.ts'

export type SessionRoutesOptions = { readonly sessions: Sessions; readonly turns: Turns }

/** Adds `GET /sessions`, `GET` and `DELETE /sessions/:id`, `GET /turns/:id`. */
export function addSessionRoutes(app: Hono<AppEnv>, { sessions, turns }: SessionRoutesOptions): void {
  app.get('/sessions', (c) => c.json({ sessions: sessions.list() }))

  app.get('/sessions/:id', (c) => {
    const session = sessions.read(c.req.param('id'))
    if (!session) throw noSession()
    return c.json(session)
  })

  app.delete('/sessions/:id', (c) => {
    const id = c.req.param('id')
    const isDeleted = sessions.delete(id)
    turns.forgetSession(id)
    if (!isDeleted) throw noSession()
    return c.body(null, 204)
  })

  app.get('/turns/:id', (c) => {
    const turn = turns.get(c.req.param('id'))
    if (!turn) throw new AppError('not_found', 'there is no such turn; turns are kept for an hour')
    return c.json(turn)
  })
}

const noSession = () => new AppError('session_not_found', 'there is no such session')
