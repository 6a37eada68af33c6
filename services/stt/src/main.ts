/** Starts the STT service. */
import { createVoiceModel } from '@hearth/hearing/voice-model'
import { formBody } from '@hearth/shared/form-body'
import { runService, startModelService } from '@hearth/shared/model-service'
import { withWeights } from '@hearth/shared/service-settings'
import { createLogger } from '@hearth/shared/telemetry'
import { encodeWav } from '@hearth/shared/wav'
import { readAbilities } from './abilities.ts'
import type { Abilities } from './abilities.ts'
import { createSttApp } from './app.ts'
import type { DecodeAudio } from './app.ts'
import { batchCost, MAX_PADDING } from './batch-cost.ts'
import { DecodeThreads } from './audio-file/decode-threads.ts'
import { readSttConfig } from './config.ts'
import type { EngineOptions } from './engine.ts'
import { LiveServer } from './live/live-server.ts'
import type { SpeechInput, Transcript } from './speech.ts'
import modelJson from './model.json' with { type: 'json' }

const DECODE_THREADS = 2

runService('stt', async () => {
  const rehearsal = rehearsals()
  const config = readSttConfig()
  const settings = config.stt
  const { dtype, threads, maxBatchSize, fitWindow, batchWindowMs } = settings
  const voice = createVoiceModel({ log: createLogger({ service: 'stt', level: config.log.level }) })
  const decoding = new DecodeThreads({ threads: DECODE_THREADS })
  let live: LiveServer | undefined
  let known: () => Abilities | null = () => null
  await startModelService<SpeechInput, Transcript, Abilities>({
    name: 'stt',
    config,
    settings,
    spec: withWeights(modelJson, dtype),
    maxBatchSize,
    cost: (inputs) => batchCost(inputs, known()),
    maxPadding: MAX_PADDING,
    windowMs: batchWindowMs,
    engine: new URL('./engine.ts', import.meta.url),
    engineOptions: ({ dir }): EngineOptions => ({ dir, dtype, threads, maxBatchSize, fitWindow }),
    prepare: ({ dir }) => readAbilities({ dir, dtype }),
    createApp: (parts) => {
      known = () => parts.slot.prepared
      const { detectVoice } = voice
      const { liveMaxClients: maxClients, liveMaxSeconds: maxSeconds } = settings
      live = new LiveServer({
        submit: (input, signal) => parts.slot.submit(input, signal),
        detectVoice,
        abilities: () => parts.slot.prepared,
        maxClients,
        maxSeconds,
        allowedHosts: config.hearth.allowedHosts,
        log: parts.log,
        metrics: parts.metrics,
      })
      const decode: DecodeAudio = (bytes, limits, signal) => decoding.decode(bytes, limits, signal)
      return createSttApp({ ...settings, ...parts, decode, detectVoice })
    },
    onReady: () => {
      decoding.warm()
      voice.start()
    },
    upgrade: (request, socket, head) => live?.upgrade(request, socket, head),
    onDrain: () => live?.close(),
    close: [() => decoding.close(), () => voice.close()],
    rehearse: async (base, signal) => {
      const request = { method: 'POST', ...(await formBody(rehearsal())), signal }
      return fetch(`${base}/v1/audio/transcriptions`, request)
    },
  })
})

/** Uploads of the usual kind: at first one in which no voice is found, so that all but the engine is warmed, then in turns with one for that too. */
function rehearsals(): () => FormData {
  let count = 0
  return () => murmur(count++ % 2 === 0)
}

/** A second of a quiet tone at a rate that must be converted, each time another one: nothing is to come from the cache. */
function murmur(isFiltered: boolean): FormData {
  const sampleRateHz = 48_000
  const pitch = 9 + Math.random()
  const samples = Float32Array.from({ length: sampleRateHz }, (_, at) => 0.1 * Math.sin(at / pitch))
  const upload = new FormData()
  upload.set('file', new Blob([encodeWav({ samples, sampleRateHz })]), 'rehearsal.wav')
  upload.set('vad_filter', `${isFiltered}`)
  // One attempt: what is heard in a tone is not believed, and would be asked for again five times.
  upload.set('temperature', '0')
  return upload
}
