/**
 * A model service from its parts. All three are alike: settings, the model with its engine thread, the HTTP app, a rehearsal, and an end in
 * order. What differs (which files, which engine, which routes) is given.
 */
import type { Hono } from 'hono'
import type { BatcherOptions } from './batcher.ts'
import { BootHistory } from './boot-history.ts'
import { type ConfigOf, describeConfig } from './config.ts'
import { modelChecks } from './doctor-model.ts'
import { EngineThread } from './engine-thread.ts'
import { AppError } from './errors.ts'
import type { AppEnv } from './http.ts'
import type { ModelAppOptions } from './model-app.ts'
import { Model } from './model.ts'
import { stillWarming } from './model-status.ts'
import { discardModel, fetchModel, type ModelFiles, type ModelSpec } from './model-store.ts'
import { type Served, serve, type ServeOptions } from './serve.ts'
import { chooseSpec, type COMMON_SECTIONS, type ModelServiceSettings, storeOptions } from './service-settings.ts'
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
  /** `prepared` gives what `prepare` gave; null until the model's files are there. */
  createApp: (options: ModelAppOptions<In, Out>, prepared: () => Prepared | null) => Hono<AppEnv>
  /** Connections that ask for another protocol; `onDrain` tells them that the service goes. */
  upgrade?: ServeOptions['upgrade']
  onDrain?: () => void
  /** What to close after the model. */
  close?: readonly (() => Promise<void>)[]
  /** Sends one request of the usual kind to the service itself. */
  rehearse: (base: string, signal: AbortSignal) => Promise<Response>
}

/** The HTTP path is compiled as it is used: its first passes cost several times the tenth. */
const REHEARSALS = 30
/** No rehearsal begins after that: real models are slow, and lose little by a cold path around them. */
const REHEARSAL_MS = 2000
const REHEARSAL_LIMIT_MS = 20_000

/**
 * Starts the service. The port answers at once; `/ready` says 200 once the model is warm and the service has answered a few requests of its
 * own, so that nobody's request is the first.
 */
export async function startModelService<In, Out, Prepared>(service: ModelService<In, Out, Prepared>): Promise<void> {
  const { name, config, settings } = service
  const log = createLogger({ service: name, level: config.log.level })
  log.info({ config: describeConfig(config) }, 'starting')
  const metrics = createMetrics(name)
  const spec = chooseSpec(service.spec, settings)
  const state = { prepared: null as Prepared | null, isDraining: false, isRehearsed: false }
  const firstReady = Promise.withResolvers<void>()
  const onPrepared = (prepared: Prepared) => (state.prepared = prepared)
  const model = createModel({ ...service, spec }, { log, metrics, onPrepared, onReady: firstReady.resolve })
  model.start()
  const served = {
    ready: (signal: AbortSignal) => model.ready(signal),
    submit: (input: In, signal: AbortSignal) => model.submit(input, signal),
    get status() {
      return state.isRehearsed ? model.status : stillWarming(model.status)
    },
  }
  const modelIds = [spec.id, `demo/${spec.demo}`]
  const isDraining = () => state.isDraining
  const history = new BootHistory({
    home: config.hearth.home,
    service: name,
    sources: new URL('.', service.engine),
    log,
  })
  const details = async () => ({ boots: [...(await history.last())] })
  const store = storeOptions(config, settings, log)
  const checks = () =>
    modelChecks({ service: name, spec, store, boots: () => history.last(), status: () => model.status })
  const parts = { model: served, modelIds, isDraining, details, checks, log, metrics }
  const app = service.createApp(parts, () => state.prepared)
  const { port, host: hostname } = settings
  const onDrain = () => {
    state.isDraining = true
    service.onDrain?.()
  }
  const close = [() => model.close(), ...(service.close ?? [])]
  const { upgrade } = service
  const server = await serve({ app, port, hostname, log, onDrain, close, ...(upgrade && { upgrade }) })
  await firstReady.promise
  const recorded = history.record(model.status)
  await rehearse(service, server, log)
  state.isRehearsed = true
  await recorded
}

function createModel<In, Out, Prepared>(
  service: ModelService<In, Out, Prepared>,
  {
    onPrepared,
    ...parts
  }: { log: Log; metrics: Metrics; onPrepared: (prepared: Prepared) => void; onReady: () => void },
): Model<In, Out> {
  const { name, config, settings, spec, engine } = service
  const store = storeOptions(config, settings, parts.log)
  return new Model<In, Out>({
    name,
    id: spec.id,
    maxBatchSize: service.maxBatchSize,
    ...(service.cost && { cost: service.cost }),
    ...(service.maxCost !== undefined && { maxCost: service.maxCost }),
    ...(service.maxPadding !== undefined && { maxPadding: service.maxPadding }),
    ...(service.windowMs !== undefined && { windowMs: service.windowMs }),
    maxQueueSize: settings.maxQueueSize,
    coldHoldMs: settings.coldHoldMs,
    fetch: (onProgress, signal) => fetchModel(spec, store, onProgress, signal),
    prepare: async (files) => onPrepared(await service.prepare(files)),
    createThread: (files) => new EngineThread({ module: engine, options: service.engineOptions(files), name }),
    onDamaged: (files) => discardModel(files, store.cacheDir),
    ...parts,
  })
}

/** A rehearsal that fails is told, and the service opens all the same. */
async function rehearse<In, Out, Prepared>(
  { rehearse: send }: ModelService<In, Out, Prepared>,
  { port }: Served,
  log: Log,
): Promise<void> {
  const signal = AbortSignal.timeout(REHEARSAL_LIMIT_MS)
  try {
    const until = performance.now() + REHEARSAL_MS
    for (let count = 0; count < REHEARSALS && performance.now() < until; count++)
      await wholeAnswer(await send(`http://127.0.0.1:${port}`, signal))
  } catch (err) {
    log.warn({ err }, 'rehearsal failed')
  }
}

async function wholeAnswer(answer: Response): Promise<void> {
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`the rehearsal was answered ${answer.status}`)
}

/** Runs a service's `main`; a start that fails (bad settings, port in use) is told in plain words and ends the process. */
export function runService(name: string, main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const told = error instanceof AppError ? error.message : error instanceof Error ? error.stack : String(error)
    process.stderr.write(`${name}: ${told}\n`)
    process.exit(1)
  })
}
