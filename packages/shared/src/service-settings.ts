/** The settings that services have in common, and where their models are looked for. */
import { availableParallelism, homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { Preload } from './api.ts'
import { bool, type ConfigOf, int, list, port, secret, text, url } from './config.ts'
import { KeepAlive } from './keep-alive.ts'
import { type ModelChoice, ModelChoices, ModelReference } from './model-choice.ts'
import type { ModelSpec, StoreOptions } from './model-store.ts'
import type { Log } from './telemetry.ts'

/** Hugging Face's own variables (HF_HOME, HF_HUB_CACHE, ...), HEARTH_HOME and LOG_LEVEL. */
export const COMMON_SECTIONS = {
  hf: z.object({
    home: text().default(join(homedir(), '.cache', 'huggingface')),
    /** Instead of the folder `hub` in HF_HOME. */
    hubCache: text().optional(),
    endpoint: url().default('https://huggingface.co'),
    token: secret().optional(),
    hubOffline: bool().default(false),
  }),
  hearth: z.object({
    /** Asked of every caller of the orchestrator, and of whoever loads and unloads models, once it is set. */
    apiKey: secret({ minLength: 16 }).optional(),
    /** Names under which services without a key may be called, beside addresses and local names; `.home.example` is all under it, `*` any. */
    allowedHosts: list().default([]),
    /** The data folder: history of starts, memory, Redis. */
    home: text().default(fileURLToPath(new URL('../../../volumes', import.meta.url))),
  }),
  log: z.object({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info') }),
}

/** Settings of one model and its service: `STT_PORT`, `STT_MODEL`, `STT_MAX_BATCH_SIZE`, ... */
export const modelServiceSettings = (defaults: { port: number }) => ({
  host: text().default('127.0.0.1'),
  port: port().default(defaults.port),
  /** Another model of the same kind, by its id at the hub. */
  model: text().optional(),
  revision: text().optional(),
  /** A folder with the model's files, instead of the cache and the hub. */
  modelDir: text().optional(),
  /** When the model is loaded: before the service says that it is ready, behind its back, or with the first request. */
  preload: Preload.default('eager'),
  /** Other models of the same kind that may take its place, as `org/name` or `org/name@revision`. */
  models: list().pipe(z.array(ModelReference).max(100)).default([]),
  /** How long a model that nobody uses stays in memory: `30m`, seconds, -1 for ever. */
  keepAlive: KeepAlive.default(Infinity),
  /** Threads of one inference. More than four gain little, and the cores are shared with the other services. */
  threads: int({ min: 1, max: 64 }).default(Math.min(4, availableParallelism())),
  maxQueueSize: int({ min: 1, max: 100_000 }).default(256),
  /** How long a request waits for a model that is still loading. */
  coldHoldMs: int({ min: 0, max: 3_600_000 }).default(120_000),
})

export type ModelServiceSettings = z.infer<z.ZodObject<ReturnType<typeof modelServiceSettings>>>

/** The models that a service with this spec may hold. */
export const chooseModels = (spec: ModelSpec, settings: ModelServiceSettings): ModelChoices =>
  new ModelChoices(chooseSpec(spec, settings), settings.models)

/** The spec of one of them. */
export const specOf = <Spec extends ModelSpec>(spec: Spec, { id, revision }: ModelChoice): Spec => ({
  ...spec,
  id,
  revision,
})

type ModelSettings = { model?: string | undefined; revision?: string | undefined; modelDir?: string | undefined }

type WithWeights = ModelSpec & { readonly weights: Readonly<Record<string, readonly string[]>> }

/** The spec of a model whose weights come in several types, for one of them. */
export function withWeights({ weights, ...spec }: WithWeights, dtype: string): ModelSpec {
  return { ...spec, files: [...spec.files, ...(weights[dtype] ?? [])] }
}

/** The service's own spec, or the model that the settings name instead (whose default revision is `main`). */
export function chooseSpec<Spec extends ModelSpec>(spec: Spec, { model, revision }: ModelSettings): Spec {
  const isOther = model !== undefined && model !== spec.id
  return { ...spec, id: model ?? spec.id, revision: revision ?? (isOther ? 'main' : spec.revision) }
}

export const DEMO_DIR = fileURLToPath(new URL('../../../models/demo', import.meta.url))

/** Where the model store looks, from the settings. */
export function storeOptions(
  { hf }: Pick<ConfigOf<typeof COMMON_SECTIONS>, 'hf'>,
  settings: ModelSettings,
  log: Log,
): StoreOptions {
  return {
    cacheDir: hf.hubCache ?? join(hf.home, 'hub'),
    endpoint: hf.endpoint,
    token: hf.token?.reveal(),
    offline: hf.hubOffline,
    demoDir: DEMO_DIR,
    localDir: settings.modelDir,
    log,
  }
}
