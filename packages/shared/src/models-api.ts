/**
 * What every model service has for its models: what is loaded (`GET /api/ps`), loading and unloading (`POST`, `DELETE /api/ps/{id}`, as speaches
 * has them), downloads (`POST /api/pull`, as Ollama), and how far a model is (`GET /v1/models/{id}/events`). What changes anything is for
 * whoever runs the service alone (access.ts).
 */
import type { Context, Hono } from 'hono'
import * as z from 'zod'
import { requireManager } from './access.ts'
import type { ModelStatus } from './api.ts'
import type { Secret } from './config.ts'
import { AppError } from './errors.ts'
import { type AppEnv, holdMsOf, onceReplied, replyStream, requestSignal } from './http.ts'
import { KeepAlive } from './keep-alive.ts'
import type { ModelChoice } from './model-choice.ts'
import { modelEvents } from './model-events.ts'
import { pullLines, PullRequest } from './model-pull.ts'
import type { Loaded, ModelSlot } from './model-slot.ts'
import { inOllamasShape, plainName } from './ollama-shape.ts'
import { readJson } from './request-body.ts'
import type { Log } from './telemetry.ts'

export type ModelsApi<Prepared> = {
  /** By a name of a request: one of those that this service may hold, or throws `model_not_found`. */
  choiceOf: (name: string) => ModelChoice
  /** What `/ready` says of the model under that name. */
  statusOf: (name: string) => ModelStatus
  slot: ModelSlot<never, unknown, Prepared>
  family: FamilyOf<Prepared>
  draining: AbortSignal
  apiKey: Secret | undefined
  log: Log
}

/** Ollama's word for the kind of model, such as `bert`; empty while its files are not read. */
export type FamilyOf<Prepared> = (prepared: Prepared | null) => string

/** All but what tells one kind of model from another. */
type Common = Omit<ModelsApi<unknown>, 'family'>

const LoadRequest = z.strictObject({ keep_alive: KeepAlive.optional() })

const MOST_LISTENERS = 64
const FOR_EVER = '9999-12-31T23:59:59Z'

/** Adds the routes. */
export function addModelsApi<Prepared>(app: Hono<AppEnv>, api: ModelsApi<Prepared>): void {
  const { slot, choiceOf, family } = api
  const loaded = () => ({ models: slot.loaded.map((one) => entryOf(one, family)) })
  const manager = requireManager(api.apiKey)

  app.get('/api/ps', (c) => c.json(loaded()))

  app.post('/api/ps/:id{.+}', manager, async (c) => {
    const choice = choiceOf(c.req.param('id'))
    const { keep_alive: keepAliveMs } = hasBody(c) ? await readJson(c, LoadRequest) : {}
    await slot.load(choice, requestSignal(c), holdMsOf(c))
    if (keepAliveMs !== undefined) slot.keepAlive(keepAliveMs)
    return c.json(loaded())
  })

  app.delete('/api/ps/:id{.+}', manager, async (c) => {
    await slot.unload(choiceOf(c.req.param('id')))
    return c.json({ status: 'success' })
  })

  app.post('/api/pull', manager, (c) => inOllamasShape(c, () => pull(c, api)))
  addEvents(app, api)
}

async function pull(c: Context<AppEnv>, { slot, choiceOf, log }: Common): Promise<Response> {
  const { model, stream } = await readJson(c, PullRequest)
  const choice = choiceOf(plainName(model))
  const signal = requestSignal(c)
  if (!stream) {
    await slot.pull(choice, () => undefined, signal)
    return c.json({ status: 'success' })
  }
  const lines = pullLines(choice, (onProgress, until) => slot.pull(choice, onProgress, until), signal)
  return c.body(replyStream(c, lines, log), 200, { 'content-type': 'application/x-ndjson' })
}

function addEvents(app: Hono<AppEnv>, { slot, statusOf, draining, log }: Common): void {
  let listeners = 0
  // An id has a slash of its own, so only the whole rest of the path can be one parameter.
  app.get('/v1/models/:id{.+/events}', (c) => {
    const id = c.req.param('id').slice(0, -'/events'.length)
    statusOf(id)
    if (listeners >= MOST_LISTENERS)
      throw new AppError('overloaded', `${MOST_LISTENERS} clients are being told already`, { retryAfterMs: 10_000 })
    listeners++
    onceReplied(c, () => listeners--)
    const source = { status: () => statusOf(id), watch: (listener: () => void) => slot.watch(listener) }
    const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }
    return c.body(replyStream(c, modelEvents(source, draining), log), 200, headers)
  })
}

const hasBody = (c: Context): boolean =>
  Number(c.req.header('content-length') ?? 0) > 0 || c.req.header('transfer-encoding') !== undefined

/** Ollama's fields, and the state. `size` is that of the files; nothing here is in a GPU's memory. */
function entryOf<Prepared>({ choice, status, prepared, expiresInMs }: Loaded<Prepared>, familyOf: FamilyOf<Prepared>) {
  const { id, state, revision, bytes = 0 } = status
  const family = familyOf(prepared)
  const details = { parent_model: '', format: 'onnx', family, families: family === '' ? [] : [family] }
  const isForEver = expiresInMs === null || expiresInMs === Infinity
  return {
    name: id,
    model: id,
    size: bytes,
    digest: revision ?? (status.source === 'demo' ? '' : choice.revision),
    details: { ...details, parameter_size: '', quantization_level: '' },
    expires_at: isForEver ? FOR_EVER : new Date(Date.now() + expiresInMs).toISOString(),
    size_vram: 0,
    state,
  }
}
