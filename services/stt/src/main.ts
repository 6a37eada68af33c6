/** Starts the STT service: settings, model, HTTP, in this order. The port answers at once; `/ready` tells when Whisper is warm. */
import { describeConfig } from '@hearth/shared/config'
import { EngineThread } from '@hearth/shared/engine-thread'
import { Model } from '@hearth/shared/model'
import { chooseSpec, runService, storeOptions } from '@hearth/shared/model-service'
import { discardModel, fetchModel } from '@hearth/shared/model-store'
import type { ModelFiles, ModelSpec } from '@hearth/shared/model-store'
import { serve } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { createSttApp } from './app.ts'
import { readSttConfig } from './config.ts'
import type { SttConfig } from './config.ts'
import type { EngineOptions, SpeechInput, Transcript } from './engine.ts'
import { knownLanguages, readGenerationSettings } from './generation-settings.ts'
import modelJson from './model.json' with { type: 'json' }
import { warmRequestPath } from './warm-up.ts'

type Settings = SttConfig['stt']

async function main(): Promise<void> {
  const config = readSttConfig()
  const settings = config.stt
  const log = createLogger({ service: 'stt', level: config.log.level })
  log.info({ config: describeConfig(config) }, 'starting')
  const metrics = createMetrics('stt')
  const store = storeOptions(config, settings, log)
  const spec = modelSpec(settings)
  let languages: readonly string[] | null = null
  let isDraining = false

  const model = new Model<SpeechInput, Transcript>({
    name: 'stt',
    fetch: async (onProgress, signal) => {
      const files = await fetchModel(spec, store, onProgress, signal)
      languages = knownLanguages(await readGenerationSettings(files.dir)).map(({ code }) => code)
      return files
    },
    createThread: (files) => createThread(files, settings),
    onDamaged: (files) => discardModel(files, store.cacheDir),
    maxBatchSize: settings.maxBatchSize,
    maxQueueSize: settings.maxQueueSize,
    windowMs: settings.batchWindowMs,
    coldHoldMs: settings.coldHoldMs,
    log,
    metrics,
  })
  model.start()
  await warmRequestPath()

  const app = createSttApp({
    model,
    modelIds: [spec.id, `demo/${spec.demo}`],
    languages: () => languages,
    maxSeconds: settings.maxSeconds,
    maxUploadBytes: settings.maxUploadBytes,
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

/** The files of a Whisper export at the wanted precision. */
function modelSpec(settings: Settings): ModelSpec {
  const { weights, files, ...rest } = modelJson
  return chooseSpec({ ...rest, files: [...files, ...weights[settings.dtype]] }, settings)
}

function createThread({ dir }: ModelFiles, settings: Settings): EngineThread<SpeechInput, Transcript> {
  const { dtype, threads, maxBatchSize, fitWindow } = settings
  const options: EngineOptions = { dir, dtype, threads, maxBatchSize, fitWindow }
  return new EngineThread({ module: new URL('./engine.ts', import.meta.url), options, name: 'stt' })
}

runService('stt', main)
