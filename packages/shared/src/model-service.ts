/**
 * A model service from its parts. All three are alike: settings, the model with its engine thread, the HTTP app, a rehearsal, and an end in
 * order. What differs (which files, which engine, which routes) is given.
 */
import type { Hono } from 'hono'
import type { BatcherOptions } from './batcher.ts'
import { BootHistory } from './boot-history.ts'
import { type ConfigOf, describeConfig } from './config.ts'
import type { Check } from './doctor.ts'
import { modelChecks } from './doctor-model.ts'
import { EngineThread } from './engine-thread.ts'
import { AppError } from './errors.ts'
import type { AppEnv } from './http.ts'
import type { ModelAppOptions } from './model-app.ts'
import type { ModelChoice, ModelChoices } from './model-choice.ts'
import { ModelSlot } from './model-slot.ts'
import { Model, type ModelOptions } from './model.ts'
import { stillWarming } from './model-status.ts'
import {
  demoModel,
  discardModel,
  fetchModel,
  type ModelFiles,
  type ModelSpec,
  type StoreOptions,
} from './model-store.ts'
import { rehearse, type SendRehearsal } from './rehearsal.ts'
import { serve, type ServeOptions } from './serve.ts'
import {
  chooseModels,
  type COMMON_SECTIONS,
  DEMO_DIR,
  type ModelServiceSettings,
  specOf,
  storeOptions,
} from './service-settings.ts'
import { createLogger, createMetrics, type Log, type Metrics } from './telemetry.ts'

export type ModelService<In, Out, Prepared> = Pick<
  BatcherOptions<In, Out, never>,
  'maxBatchSize' | 'maxCost' | 'cost' | 'maxPadding' | 'windowMs'
> & {
  name: string
  config: ConfigOf<typeof COMMON_SECTIONS>
  settings: ModelServiceSettings
  spec: ModelSpec
  /** The engine's file. */
  engine: URL
  engineOptions: (files: ModelFiles) => unknown
  /** Reads what the HTTP side needs of the model's files: a tokenizer, a list of voices. */
  prepare: (files: ModelFiles) => Promise<Prepared> | Prepared
  createApp: (options: ModelAppOptions<In, Out, Prepared>) => Hono<AppEnv>
  /** Connections that ask for another protocol; `onDrain` tells them that the service goes. */
  upgrade?: ServeOptions['upgrade']
  onDrain?: () => void
  /** What to close after the model. */
  close?: readonly (() => Promise<void>)[]
  /** Sends one request of the usual kind to the service itself. */
  rehearse: SendRehearsal
}

/**
 * Starts the service. The port answers at once; with the policy `eager`, `/ready` says 200 once the model is warm and a quick one's service has answered a
 * few requests of its own, so that nobody's request is the first.
 */
export async function startModelService<In, Out, Prepared>(service: ModelService<In, Out, Prepared>): Promise<void> {
  const { name, config, settings } = service
  const log = createLogger({ service: name, level: config.log.level })
  log.info({ config: describeConfig(config) }, 'starting')
  const metrics = createMetrics(name)
  const firstReady = Promise.withResolvers<void>()
  const slot = createSlot(service, { log, metrics, onReady: firstReady.resolve })
  slot.preload()
  let isRehearsed = false
  const status = () => (isRehearsed ? slot.status : stillWarming(slot.status))
  const drain = new AbortController()
  const sources = new URL('.', service.engine)
  const history = new BootHistory({ home: config.hearth.home, service: name, sources, log })
  const app = service.createApp({
    slot,
    status,
    details: async () => ({ boots: [...(await history.last())] }),
    checks: () => slotChecks(service, slot, history, log),
    draining: drain.signal,
    apiKey: config.hearth.apiKey,
    log,
    metrics,
  })
  const { port, host: hostname } = settings
  const onDrain = () => {
    drain.abort()
    slot.drain()
    service.onDrain?.()
  }
  const close = [() => slot.close(), ...(service.close ?? [])]
  const { upgrade } = service
  const server = await serve({ app, port, hostname, log, onDrain, close, ...(upgrade && { upgrade }) })
  await firstReady.promise
  await rehearse({ send: service.rehearse, base: `http://127.0.0.1:${server.port}`, status: slot.status, log })
  isRehearsed = true
  // Of the model that sits there now: it need not be the one that was ready first.
  await history.record(slot.status)
}

type Parts = { log: Log; metrics: Metrics; onReady: () => void }

/** The place of the service's model: what it may hold, where that is looked for, and how it is made. */
function createSlot<In, Out, Prepared>(
  service: ModelService<In, Out, Prepared>,
  parts: Parts,
): ModelSlot<In, Out, Prepared> {
  const { name, settings, engine } = service
  const choices = chooseModels(service.spec, settings)
  const fetch = async (choice: ModelChoice, mayStandIn: boolean, ...[onProgress, signal]: FetchArguments) => {
    const spec = specOf(service.spec, choice)
    if (choice.isDemo) return demoModel(spec, DEMO_DIR)
    const { demoDir, ...store } = storeOf(service, choice, choices, parts.log)
    return fetchModel(spec, { ...store, ...(mayStandIn && demoDir && { demoDir }) }, onProgress, signal)
  }
  return new ModelSlot<In, Out, Prepared>({
    choices,
    preload: settings.preload,
    keepAliveMs: settings.keepAlive,
    coldHoldMs: settings.coldHoldMs,
    pull: (choice, onProgress, signal) => fetch(choice, false, onProgress, signal),
    create: (choice, hooks, { preload, isReplacement }) =>
      new Model<In, Out>({
        name,
        id: choice.id,
        preload,
        ...batchOptions(service),
        maxQueueSize: settings.maxQueueSize,
        coldHoldMs: settings.coldHoldMs,
        fetch: (onProgress, signal) => fetch(choice, !isReplacement, onProgress, signal),
        prepare: async (files) => hooks.onPrepared(await service.prepare(files)),
        createThread: (files) => new EngineThread({ module: engine, options: service.engineOptions(files), name }),
        onDamaged: (files) => discardModel(files, storeOf(service, choice, choices, parts.log).cacheDir),
        onStatus: () => hooks.onStatus(),
        ...parts,
      }),
  })
}

/** Where the files of one of them are looked for: the folder of the settings has the model of the settings. */
function storeOf<In, Out, Prepared>(
  { config, settings }: ModelService<In, Out, Prepared>,
  choice: ModelChoice,
  { configured }: ModelChoices,
  log: Log,
): StoreOptions {
  const store = storeOptions(config, settings, log)
  return choice === configured ? store : { ...store, localDir: undefined }
}

/** What `/doctor` looks at: the model that sits there now. */
function slotChecks<In, Out, Prepared>(
  service: ModelService<In, Out, Prepared>,
  slot: ModelSlot<In, Out, Prepared>,
  history: BootHistory,
  log: Log,
): readonly Check[] {
  const { choice, choices } = slot
  return modelChecks({
    service: service.name,
    spec: specOf(service.spec, choice),
    store: storeOf(service, choice, choices, log),
    boots: () => history.last(),
    status: () => slot.status,
    isNeeded: () => !choice.isDemo,
  })
}

type FetchArguments = Parameters<ModelOptions<never, never, never>['fetch']>

const batchOptions = <In, Out, Prepared>(service: ModelService<In, Out, Prepared>) => ({
  maxBatchSize: service.maxBatchSize,
  ...(service.cost && { cost: service.cost }),
  ...(service.maxCost !== undefined && { maxCost: service.maxCost }),
  ...(service.maxPadding !== undefined && { maxPadding: service.maxPadding }),
  ...(service.windowMs !== undefined && { windowMs: service.windowMs }),
})

/** Runs a service's `main`; a start that fails (bad settings, port in use) is told in plain words and ends the process. */
export function runService(name: string, main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const told = error instanceof AppError ? error.message : error instanceof Error ? error.stack : String(error)
    process.stderr.write(`${name}: ${told}\n`)
    process.exit(1)
  })
}
