/** Starts the TTS service. */
import { runService, startModelService } from '@hearth/shared/model-service'
import { createTtsApp } from './app.ts'
import { readTtsConfig } from './config.ts'
import type { EngineOptions } from './engine.ts'
import type { Speech, SpeechInput } from './speech.ts'
import spec from './model.json' with { type: 'json' }
import { listVoices } from './voices.ts'

runService('tts', async () => {
  const config = readTtsConfig()
  const settings = config.tts
  await startModelService<SpeechInput, Speech, readonly string[]>({
    name: 'tts',
    config,
    settings,
    spec,
    // Kokoro's graph takes one text at a time.
    maxBatchSize: 1,
    engine: new URL('./engine.ts', import.meta.url),
    engineOptions: ({ dir }): EngineOptions => ({ dir, threads: settings.threads }),
    prepare: ({ dir }) => listVoices(dir),
    createApp: (parts, prepared) => createTtsApp({ ...settings, ...parts, voices: () => prepared() ?? [] }),
    rehearse: (base, signal) =>
      fetch(`${base}/v1/audio/speech`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: 'One moment, please. I am nearly ready.', response_format: 'wav' }),
        signal,
      }),
  })
})
