/** Starts the TTS service: settings, model, HTTP, in this order. The port answers at once; `/ready` tells when Kokoro is warm. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeConfig } from '@hearth/shared/config'
import { EngineThread } from '@hearth/shared/engine-thread'
import { Model } from '@hearth/shared/model'
import { fetchModel } from '@hearth/shared/model-store'
import type { ModelFiles, StoreOptions } from '@hearth/shared/model-store'
import { serve } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import type { Log } from '@hearth/shared/telemetry'
import { createTtsApp } from './app.ts'
import { readTtsConfig } from './config.ts'
import type { TtsConfig } from './config.ts'
import type { EngineOptions, Speech, SpeechInput } from './engine.ts'
import spec from './model.json' with { type: 'json' }
import { listVoices } from './voices.ts'

async function main(): Promise<void> {
  const config = readTtsConfig()
  const log = createLogger({ service: 'tts', level: config.log.level })
  log.info({ config: describeConfig(config) }, 'starting')
  const metrics = createMetrics('tts')
  const store = storeOptions(config, log)
  let voices: readonly string[] = []
  let isDraining = false

  const model = new Model<SpeechInput, Speech>({
    name: 'tts',
    fetch: async (onProgress, signal) => {
      const files = await fetchModel(spec, store, onProgress, signal)
      voices = listVoices(files.dir)
      return files
    },
    createThread: (files) => createThread(files, config.tts.threads),
    maxBatchSize: 1,
    maxQueueSize: config.tts.maxQueueSize,
    coldHoldMs: config.tts.coldHoldMs,
    log,
    metrics,
  })
  model.start()

  const app = createTtsApp({
    model: {
      get status() {
        return model.status
      },
      ready: (signal) => model.ready(signal),
      submit: (input, signal) => model.submit(input, signal),
    },
    modelIds: [spec.id, `demo/${spec.demo}`],
    voices: () => voices,
    defaultVoice: config.tts.defaultVoice,
    maxChars: config.tts.maxChars,
    isDraining: () => isDraining,
    log,
    metrics,
  })
  await serve({
    app,
    port: config.tts.port,
    hostname: config.tts.host,
    log,
    onDrain: () => {
      isDraining = true
    },
    close: [() => model.close()],
  })
}

function createThread(files: ModelFiles, threads: number): EngineThread<SpeechInput, Speech> {
  const options: EngineOptions = { dir: files.dir, threads }
  return new EngineThread({ module: new URL('./engine.ts', import.meta.url), options, name: 'tts' })
}

function storeOptions({ hf, tts }: TtsConfig, log: Log): StoreOptions {
  return {
    cacheDir: hf.hubCache ?? join(hf.home, 'hub'),
    endpoint: hf.endpoint,
    token: hf.token?.reveal(),
    offline: hf.hubOffline,
    demoDir: fileURLToPath(new URL('../../../models/demo', import.meta.url)),
    localDir: tts.modelDir,
    log,
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`tts: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
