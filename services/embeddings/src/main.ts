/** Starts the embeddings service: settings, model, HTTP, in this order. The port answers at once; `/ready` tells when the model is warm. */
import { describeConfig } from '@hearth/shared/config'
import { EngineThread } from '@hearth/shared/engine-thread'
import { Model } from '@hearth/shared/model'
import { chooseSpec, runService, storeOptions } from '@hearth/shared/model-service'
import { discardModel, fetchModel } from '@hearth/shared/model-store'
import type { ModelFiles, ModelSpec } from '@hearth/shared/model-store'
import { serve } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { createEmbeddingsApp } from './app.ts'
import { readEmbeddingsConfig } from './config.ts'
import type { EmbeddingsConfig } from './config.ts'
import type { EngineOptions } from './engine.ts'
import modelJson from './model.json' with { type: 'json' }
import { paddedTokens } from './padding.ts'
import type { TokenIds } from './padding.ts'
import { loadTokenizer } from './tokenizer.ts'
import type { Tokenizer } from './tokenizer.ts'

type Settings = EmbeddingsConfig['embeddings']

async function main(): Promise<void> {
  const config = readEmbeddingsConfig()
  const settings = config.embeddings
  const log = createLogger({ service: 'embeddings', level: config.log.level })
  log.info({ config: describeConfig(config) }, 'starting')
  const metrics = createMetrics('embeddings')
  const store = storeOptions(config, settings, log)
  const spec = modelSpec(settings)
  let tokenizer: Tokenizer | null = null
  let isDraining = false

  const model = new Model<TokenIds, Float32Array>({
    name: 'embeddings',
    fetch: async (onProgress, signal) => {
      const files = await fetchModel(spec, store, onProgress, signal)
      tokenizer = await loadTokenizer(files.dir)
      return files
    },
    createThread: (files) => createThread(files, settings),
    onDamaged: (files) => discardModel(files, store.cacheDir),
    maxBatchSize: settings.maxBatchSize,
    maxQueueSize: settings.maxQueueSize,
    cost: paddedTokens,
    maxCost: settings.maxBatchTokens,
    windowMs: settings.batchWindowMs,
    coldHoldMs: settings.coldHoldMs,
    log,
    metrics,
  })
  model.start()

  const app = createEmbeddingsApp({
    model,
    modelIds: [spec.id, `demo/${spec.demo}`],
    tokenizer: () => tokenizer,
    maxTexts: settings.maxTexts,
    isDraining: () => isDraining,
    log,
    metrics,
  })
  const onDrain = () => {
    isDraining = true
  }
  const { port, host: hostname } = settings
  await serve({ app, port, hostname, log, onDrain, close: [() => model.close()] })
}

/** The files of an encoder at the wanted precision. */
function modelSpec(settings: Settings): ModelSpec {
  const { weights, files, ...rest } = modelJson
  return chooseSpec({ ...rest, files: [...files, ...weights[settings.dtype]] }, settings)
}

function createThread({ dir }: ModelFiles, settings: Settings): EngineThread<TokenIds, Float32Array> {
  const { dtype, threads, maxBatchSize } = settings
  const options: EngineOptions = { dir, dtype, threads, maxBatchSize }
  return new EngineThread({ module: new URL('./engine.ts', import.meta.url), options, name: 'embeddings' })
}

runService('embeddings', main)
