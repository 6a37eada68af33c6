/** Starts the STT service. */
import { runService, startModelService } from '@hearth/shared/model-service'
import { encodeWav } from '@hearth/shared/wav'
import { createSttApp } from './app.ts'
import { readSttConfig } from './config.ts'
import type { EngineOptions } from './engine.ts'
import type { SpeechInput, Transcript } from './speech.ts'
import { knownLanguages, readGenerationSettings } from './generation-settings.ts'
import modelJson from './model.json' with { type: 'json' }

const { weights, files, ...rest } = modelJson

runService('stt', async () => {
  const config = readSttConfig()
  const settings = config.stt
  const { dtype, threads, maxBatchSize, fitWindow, batchWindowMs } = settings
  await startModelService<SpeechInput, Transcript, readonly string[]>({
    name: 'stt',
    config,
    settings,
    spec: { ...rest, files: [...files, ...weights[dtype]] },
    maxBatchSize,
    windowMs: batchWindowMs,
    engine: new URL('./engine.ts', import.meta.url),
    engineOptions: ({ dir }): EngineOptions => ({ dir, dtype, threads, maxBatchSize, fitWindow }),
    prepare: async ({ dir }) => knownLanguages(await readGenerationSettings(dir)).map(({ code }) => code),
    createApp: (parts, prepared) => createSttApp({ ...settings, ...parts, languages: prepared }),
    rehearse: (base, signal) => fetch(`${base}/v1/audio/transcriptions`, { method: 'POST', body: murmur(), signal }),
  })
})

/** A second of a quiet tone at a rate that must be converted. */
function murmur(): FormData {
  const sampleRateHz = 48_000
  const samples = Float32Array.from({ length: sampleRateHz }, (_, at) => 0.1 * Math.sin(at / 9))
  const upload = new FormData()
  upload.set('file', new Blob([encodeWav({ samples, sampleRateHz })]), 'rehearsal.wav')
  return upload
}
