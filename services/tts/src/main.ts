/** Starts the TTS service. */
import { EngineThread } from '@hearth/shared/engine-thread'
import { Model } from '@hearth/shared/model'
import type { ModelOptions } from '@hearth/shared/model'
import { runService, startModelService } from '@hearth/shared/model-service'
import { createTtsApp } from './app.ts'
import { readTtsConfig } from './config.ts'
import type { EngineOptions } from './engine.ts'
import type { Speech, SpeechInput } from './speech.ts'
import spec from './model.json' with { type: 'json' }
import { languageOf, listVoices } from './voices.ts'

/** Kokoro's voices by name, for as long as its folder isn't there. */
const KNOWN_VOICES = spec.optionalFiles
  .map((file) => file.slice('voices/'.length, -'.bin'.length))
  .filter((voice) => languageOf(voice) !== undefined)
  .toSorted()

type Shared = Pick<ModelOptions<SpeechInput, Speech, never>, 'log' | 'metrics' | 'maxQueueSize' | 'coldHoldMs'>

/** Requests of the usual kinds, none the same as one before: that would come from the cache of phrases. */
function rehearsals(): () => object {
  let count = 0
  return () => {
    count += 1
    return {
      input: `Moment ${count}, please.`,
      // First the one with more to warm.
      response_format: count % 2 === 0 ? 'pcm' : 'mp3',
    }
  }
}

/** eSpeak NG in a thread of its own, not yet started. It has no files to fetch: they are in its package. */
function createStandIn({ log, metrics, maxQueueSize, coldHoldMs }: Shared): Model<SpeechInput, Speech> {
  const name = 'espeak-ng'
  const module = new URL('./espeak-engine.ts', import.meta.url)
  return new Model({
    name,
    maxBatchSize: 1,
    fetch: async () => ({ dir: '', source: 'local', revision: null, id: name, warning: null }),
    createThread: () => new EngineThread({ module, options: {}, name }),
    ...(maxQueueSize !== undefined && { maxQueueSize }),
    ...(coldHoldMs !== undefined && { coldHoldMs }),
    log,
    ...(metrics && { metrics }),
  })
}

runService('tts', async () => {
  const rehearsal = rehearsals()
  let standIn: Model<SpeechInput, Speech> | undefined
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
    createApp: (parts) =>
      createTtsApp({
        ...settings,
        ...parts,
        standIn: (standIn = createStandIn({ ...parts, ...settings })),
        knownVoices: KNOWN_VOICES,
      }),
    close: [async () => standIn?.close()],
    rehearse: (base, signal) =>
      fetch(`${base}/v1/audio/speech`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(rehearsal()),
        signal,
      }),
  })
})
