/**
 * What every model service's app has beyond `createApp`: its one model in `/ready` and `/doctor`, `GET /v1/models` and `GET /v1/models/{id}` (OpenAI), and
 * the check of a request's `model`.
 */
import type { Hono } from 'hono'
import type { ReadyReport } from './api.ts'
import { type Check, createDoctor, diagnose } from './doctor.ts'
import { AppError } from './errors.ts'
import { type AppEnv, createApp } from './http.ts'
import type { ModelEntry, ModelList } from './model-api.ts'
import type { Model } from './model.ts'
import type { Log, Metrics } from './telemetry.ts'

/** What a service's app needs of its `Model`. */
export type ServedModel<In, Out> = Pick<Model<In, Out>, 'status' | 'ready' | 'submit'>

/** What a service's app is made of; each service adds its own. */
export type ModelAppOptions<In, Out> = {
  readonly model: ServedModel<In, Out>
  /** Names a request may use for the model, beside the aliases: the hub's and the demo's. */
  readonly modelIds: readonly string[]
  /** True from the first signal to stop: `/ready` then says so. */
  readonly isDraining?: () => boolean
  /** What `/ready?verbose` says beside the model. */
  readonly details?: () => Promise<Partial<ReadyReport>>
  /** What `/doctor` looks at. */
  readonly checks?: () => readonly Check[]
  readonly log: Log
  readonly metrics: Metrics
  readonly now?: () => number
}

type ModelAppKind = {
  service: string
  maxBodyBytes: number
  /** Names of others' models that clients send and that this one answers to. */
  aliases: readonly string[]
  /** The hub's word for what the model does, such as `automatic-speech-recognition`. */
  task: string
}

/** The app, and the check, which throws `model_not_found` unless the name is known or left out. */
export function createModelApp<In, Out>(options: ModelAppOptions<In, Out>, kind: ModelAppKind) {
  const { model, modelIds, isDraining, details, checks, log, metrics, now } = options
  const { service, maxBodyBytes, aliases, task } = kind
  const app = createApp({
    service,
    models: () => [model.status],
    log,
    metrics,
    maxBodyBytes,
    ...(isDraining && { isDraining }),
    ...(details && { details }),
    ...(now && { now }),
  })
  const report = createDoctor(() => diagnose(service, checks?.() ?? []))
  app.get('/doctor', async (c) => c.json(await report()))
  const requireModel = checkOf(new Set([...modelIds, ...aliases]))
  addModelRoutes(app, {
    requireModel,
    names: () => [model.status.id, ...aliases],
    task,
    state: () => model.status.state,
  })
  return { app, requireModel }
}

const checkOf = (known: ReadonlySet<string>) => (name: string | undefined) => {
  if (name === undefined || known.has(name)) return
  const shown = /^[\w./:-]{1,100}$/.test(name) ? `\`${name}\`` : 'of that name'
  throw new AppError('model_not_found', `The model ${shown} does not exist`, { param: 'model' })
}

type Routes = {
  requireModel: (name: string) => void
  names: () => readonly string[]
  task: string
  state: () => string
}

function addModelRoutes(app: Hono<AppEnv>, { requireModel, names, task, state }: Routes): void {
  const describe = (id: string): ModelEntry => ({
    id,
    object: 'model',
    created: 0,
    owned_by: 'hearth',
    task,
    state: state(),
  })
  app.get('/v1/models', (c) => c.json({ object: 'list', data: names().map(describe) } satisfies ModelList))
  app.get('/v1/models/:id{.+}', (c) => {
    const id = c.req.param('id')
    requireModel(id)
    return c.json(describe(id))
  })
}
