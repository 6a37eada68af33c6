/**
 * The slot of a service, from its settings: which models it may hold, where their files are looked for, how each is made, and what the doctor
 * looks at.
 */
import type { BatcherOptions } from './batcher.ts'
import type { BootHistory } from './boot-history.ts'
import type { ConfigOf } from './config.ts'
import type { Check } from './doctor.ts'
import { modelChecks } from './doctor-model.ts'
import { EngineThread } from './engine-thread.ts'
import type { ModelChoice, ModelChoices } from './model-choice.ts'
import { ModelSlot } from './model-slot.ts'
import { Model, type ModelOptions } from './model.ts'
import {
  demoModel,
  discardModel,
  fetchModel,
  type ModelFiles,
  type ModelSpec,
  type StoreOptions,
} from './model-store.ts'
import {
  chooseModels,
  type COMMON_SECTIONS,
  DEMO_DIR,
  type ModelServiceSettings,
  specOf,
  storeOptions,
} from './service-settings.ts'
import type { Log, Metrics } from './telemetry.ts'

/** What one service's models have in common. */
export type ServiceModel<In, Prepared> = Pick<
  BatcherOptions<In, unknown, never>,
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
}

type Parts = { log: Log; metrics: Metrics; onWarm: () => void }

/** The place of the service's model, which is not loaded yet. */
export function createSlot<In, Out, Prepared>(
  service: ServiceModel<In, Prepared>,
  parts: Parts,
): ModelSlot<In, Out, Prepared> {
  const { name, settings, engine } = service
  const { metrics, ...others } = parts
  const choices = chooseModels(service.spec, settings)
  const fetch = async (choice: ModelChoice, mayStandIn: boolean, ...[onProgress, signal]: FetchArguments) => {
    const spec = specOf(service.spec, choice)
    if (choice.isDemo) return demoModel(spec, DEMO_DIR)
    const { demoDir, ...store } = storeOf(service, choice, choices, parts.log)
    return fetchModel(spec, { ...store, ...(mayStandIn && demoDir && { demoDir }) }, onProgress, signal)
  }
  const slot: ModelSlot<In, Out, Prepared> = new ModelSlot({
    choices,
    preload: settings.preload,
    keepAliveMs: settings.keepAlive,
    coldHoldMs: settings.coldHoldMs,
    maxQueueSize: settings.maxQueueSize,
    pull: (choice, onProgress, signal) => fetch(choice, false, onProgress, signal),
    create: (choice, hooks, { preload, isReplacement }) =>
      new Model<In, Out>({
        name,
        id: choice.id,
        preload,
        isReplacement,
        isInUse: () => isInUse(slot),
        ...batchOptions(service),
        maxQueueSize: settings.maxQueueSize,
        coldHoldMs: settings.coldHoldMs,
        fetch: async (onProgress, signal) => {
          const files = await fetch(choice, !isReplacement, onProgress, signal)
          await hooks.alone(files, signal)
          return files
        },
        prepare: async (files) => hooks.onPrepared(await service.prepare(files)),
        createThread: (files) => new EngineThread({ module: engine, options: service.engineOptions(files), name }),
        onDamaged: (files) => discardModel(files, storeOf(service, choice, choices, parts.log).cacheDir),
        onStatus: () => hooks.onStatus(),
        // Of the one that sits here, whichever of them has changed: a model that goes must not be told over the one that came.
        metrics: {
          observeBatch: (model, batch) => metrics.observeBatch(model, batch),
          setModelState: (model) => metrics.setModelState(model, slot.status.state),
        },
        ...others,
      }),
  })
  return slot
}

/** Whether a request holds a model of the slot, from its first look to its last byte. */
export const isInUse = <In, Out, Prepared>({ loaded }: Pick<ModelSlot<In, Out, Prepared>, 'loaded'>): boolean =>
  loaded.some(({ status, expiresInMs }) => status.state === 'ready' && expiresInMs === null)

/** Where the files of one of them are looked for: the folder of the settings has the model of the settings. */
function storeOf<In, Prepared>(
  { config, settings }: ServiceModel<In, Prepared>,
  choice: ModelChoice,
  { configured }: ModelChoices,
  log: Log,
): StoreOptions {
  const store = storeOptions(config, settings, log)
  return choice === configured ? store : { ...store, localDir: undefined }
}

/** What `/doctor` looks at: the model that sits there now. */
export function slotChecks<In, Out, Prepared>(
  service: ServiceModel<In, Prepared>,
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

const batchOptions = <In, Prepared>(service: ServiceModel<In, Prepared>) => ({
  maxBatchSize: service.maxBatchSize,
  ...(service.cost && { cost: service.cost }),
  ...(service.maxCost !== undefined && { maxCost: service.maxCost }),
  ...(service.maxPadding !== undefined && { maxPadding: service.maxPadding }),
  ...(service.windowMs !== undefined && { windowMs: service.windowMs }),
})
