/**
 * What every model service's app has beyond `createApp`: its model in `/ready` and `/doctor`, `GET /v1/models` and `GET /v1/models/{id}` (OpenAI), the
 * lease of a model for each request by the name it gives, and the routes that manage models (models-api.ts).
 */
import type { Context, Hono } from 'hono'
import type { ModelStatus, ReadyReport } from './api.ts'
import type { Secret } from './config.ts'
import { type Check, createDoctor, diagnose } from './doctor.ts'
import { type AppEnv, createApp, holdMsOf, onceReplied, requestSignal } from './http.ts'
import type { ModelEntry, ModelList } from './model-api.ts'
import { keyOf, type ModelChoice, unknownModel } from './model-choice.ts'
import type { ModelLease } from './model-seat.ts'
import type { ModelSlot } from './model-slot.ts'
import type { Model } from './model.ts'
import { addModelsApi, type FamilyOf } from './models-api.ts'
import type { Log, Metrics } from './telemetry.ts'

/** What speaks or hears for a service, as far as an app needs it. */
export type ServedModel<In, Out> = Pick<Model<In, Out>, 'status' | 'ready' | 'submit'>

/** What a service's app is made of; each service adds its own. */
export type ModelAppOptions<In, Out, Prepared> = {
  readonly slot: ModelSlot<In, Out, Prepared>
  /** What `/ready` and the lists say of the model that sits in the slot; its own status unless told. */
  readonly status?: () => ModelStatus
  /** What `/ready?verbose` says beside the model. */
  readonly details?: () => Promise<Partial<ReadyReport>>
  /** What `/doctor` looks at. */
  readonly checks?: () => readonly Check[]
  /** Aborts at the first signal to stop: `/ready` then says so, and replies without an end of their own end. */
  readonly draining?: AbortSignal
  /** Asked of whoever loads and unloads models, once it is set. */
  readonly apiKey?: Secret | undefined
  /** Names under which it may be called, beside addresses and local names. */
  readonly allowedHosts?: readonly string[]
  readonly log: Log
  readonly metrics: Metrics
  readonly now?: () => number
}

type ModelAppKind<Prepared> = {
  service: string
  maxBodyBytes: number
  /** Names of others' models that clients send and that whatever model sits here answers to. */
  aliases: readonly string[]
  /** The hub's word for what the model does, such as `automatic-speech-recognition`. */
  task: string
  family: FamilyOf<Prepared>
}

/** The app, and `use`: the model that a request's `model` means, leased until the reply is out. Throws `model_not_found` for unknown names. */
export function createModelApp<In, Out, Prepared>(
  options: ModelAppOptions<In, Out, Prepared>,
  { service, maxBodyBytes, aliases, task, family }: ModelAppKind<Prepared>,
) {
  const {
    slot,
    log,
    metrics,
    now,
    apiKey,
    allowedHosts = [],
    details,
    checks,
    status = () => slot.status,
    draining = new AbortController().signal,
  } = options
  const app = createApp({
    service,
    models: () => [status()],
    log,
    metrics,
    maxBodyBytes,
    // The key is asked only of who manages models: whoever reaches the port may use them.
    access: { allowedHosts },
    isDraining: () => draining.aborted,
    ...(details && { details }),
    ...(now && { now }),
  })
  const report = createDoctor(() => diagnose(service, checks?.() ?? []))
  app.get('/doctor', async (c) => c.json(await report()))
  const names = new Names(slot, status, aliases)
  addModelsApi(app, {
    slot,
    choiceOf: (name) => names.choiceOf(name) ?? slot.choice,
    statusOf: (name) => names.statusOf(name),
    family,
    draining,
    apiKey,
    log,
  })
  addModelLists(app, names, task)

  async function use(c: Context<AppEnv>, name: string | undefined): Promise<ModelLease<In, Out, Prepared>> {
    const choice = name === undefined ? undefined : names.choiceOf(name)
    const lease = await slot.lease({ choice, holdMs: holdMsOf(c) }, requestSignal(c))
    onceReplied(c, lease.release)
    return lease
  }
  return { app, use }
}

/** What the names in requests mean. */
class Names {
  readonly #slot: ModelSlot<never, unknown, unknown>
  readonly #status: () => ModelStatus
  readonly #aliases: readonly string[]

  constructor(slot: ModelSlot<never, unknown, unknown>, status: () => ModelStatus, aliases: readonly string[]) {
    this.#slot = slot
    this.#status = status
    this.#aliases = aliases
  }

  /** Undefined for an alias: whatever sits here. Throws `model_not_found`. */
  choiceOf(name: string): ModelChoice | undefined {
    if (this.#aliases.includes(name)) return undefined
    const choice = this.#slot.choices.find(name)
    if (!choice) throw unknownModel(name)
    return choice
  }

  statusOf(name: string): ModelStatus {
    const current = this.#status()
    const choice = name === current.id ? undefined : this.choiceOf(name)
    return choice && keyOf(choice) !== keyOf(this.#slot.choice) ? this.#slot.statusOf(choice) : current
  }

  /** The model that sits here, the others that requests may bring, the aliases. */
  get all(): readonly string[] {
    const others = this.#slot.choices.all.filter(
      (choice) => choice.mayTakeTurns && keyOf(choice) !== keyOf(this.#slot.choice),
    )
    return [this.#status().id, ...others.map(({ id }) => id), ...this.#aliases]
  }
}

function addModelLists(app: Hono<AppEnv>, names: Names, task: string): void {
  const describe = (id: string): ModelEntry => ({
    id,
    object: 'model',
    created: 0,
    owned_by: 'hearth',
    task,
    state: names.statusOf(id).state,
  })
  app.get('/v1/models', (c) => c.json({ object: 'list', data: names.all.map(describe) } satisfies ModelList))
  app.get('/v1/models/:id{.+}', (c) => c.json(describe(c.req.param('id'))))
}
