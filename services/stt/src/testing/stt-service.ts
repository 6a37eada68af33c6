/** The whole service with the demo model, on a port of its own: engine, voice detector and decoders in their threads. */
import { join } from 'node:path'
import { createVoiceModel } from '@hearth/hearing/voice-model'
import { EngineThread } from '@hearth/shared/engine-thread'
import { Model } from '@hearth/shared/model'
import { serve } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { readAbilities } from '../abilities.ts'
import { createSttApp } from '../app.ts'
import { DecodeThreads } from '../audio-file/decode-threads.ts'
import type { EngineOptions } from '../engine.ts'
import { LiveServer } from '../live/live-server.ts'
import type { SpeechInput, Transcript } from '../speech.ts'

const dir = join(import.meta.dirname, '../../../../models/demo/whisper')

export type RunningService = { readonly url: string; close(): Promise<void> }

export async function startSttService(): Promise<RunningService> {
  const log = createLogger({ service: 'stt', level: 'silent' })
  const metrics = createMetrics('stt')
  const options: EngineOptions = { dir, dtype: 'fp32', threads: 2, maxBatchSize: 4, fitWindow: 'auto' }
  const model = new Model<SpeechInput, Transcript>({
    name: 'stt',
    maxBatchSize: options.maxBatchSize,
    fetch: async () => ({ id: 'demo/whisper', source: 'local', revision: null, dir, warning: null }),
    createThread: () => new EngineThread({ module: new URL('../engine.ts', import.meta.url), options, name: 'stt' }),
    log,
    metrics,
  })
  model.start()
  const voice = createVoiceModel({ log })
  const decoding = new DecodeThreads({ threads: 2 })
  const abilities = await readAbilities(options)
  const app = createSttApp({
    model,
    modelIds: ['demo/whisper'],
    abilities: () => abilities,
    decode: (bytes, limits, signal) => decoding.decode(bytes, limits, signal),
    detectVoice: voice.detectVoice,
    maxSeconds: 7200,
    maxUploadBytes: 64 * 1_048_576,
    cacheSeconds: 0,
    log,
    metrics,
  })
  const live = new LiveServer({
    submit: (input, signal) => model.submit(input, signal),
    detectVoice: voice.detectVoice,
    abilities: () => abilities,
    maxClients: 8,
    maxSeconds: 600,
    log,
    metrics,
  })
  const host = { on: () => undefined, off: () => undefined, exit: () => undefined }
  const close = [() => model.close(), () => decoding.close(), () => voice.close()]
  const server = await serve({
    app,
    port: 0,
    hostname: '127.0.0.1',
    log,
    close,
    host,
    drainMs: 1000,
    upgrade: (request, socket, head) => live.upgrade(request, socket, head),
    onDrain: () => live.close(),
  })
  await model.ready(AbortSignal.timeout(60_000))
  return { url: `http://127.0.0.1:${server.port}`, close: () => server.close() }
}
