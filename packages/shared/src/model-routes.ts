/** `GET /v1/models` and `GET /v1/models/{id}` (OpenAI), the same for every model service, and the check of a request's `model`. */
import type { Hono } from 'hono'
import type { ModelStatus } from './api.ts'
import { AppError } from './errors.ts'
import type { AppEnv } from './http.ts'

export type ModelRoutes = {
  status: () => ModelStatus
  /** What the model is called: at the hub, and as a demo. */
  ids: readonly string[]
  /** Names of others' models that clients send and that this one answers to. */
  aliases: readonly string[]
  /** The hub's word for what it does, such as `automatic-speech-recognition`. */
  task: string
}

/** Adds the routes; gives the check, which throws `model_not_found` unless the name is known or left out. */
export function modelRoutes(
  app: Hono<AppEnv>,
  { status, ids, aliases, task }: ModelRoutes,
): (name: string | undefined) => void {
  const known = new Set([...ids, ...aliases])
  const requireModel = (name: string | undefined): void => {
    if (name === undefined || known.has(name)) return
    throw new AppError('model_not_found', `The model \`${name.slice(0, 100)}\` does not exist`, { param: 'model' })
  }
  const describe = (id: string) => ({
    id,
    object: 'model',
    created: 0,
    owned_by: 'hearth',
    task,
    state: status().state,
  })
  app.get('/v1/models', (c) => c.json({ object: 'list', data: [status().id, ...aliases].map(describe) }))
  app.get('/v1/models/:id{.+}', (c) => {
    const id = c.req.param('id')
    requireModel(id)
    return c.json(describe(id))
  })
  return requireModel
}
