/** The voice detector as this service uses it: a model of its own in a thread of its own, shared by every recording and every live client. */
import { EngineThread } from '@hearth/shared/engine-thread'
import { Model } from '@hearth/shared/model'
import type { Log } from '@hearth/shared/telemetry'
import type { VoiceInput, VoiceOutput } from './silero-engine.ts'

/** Probabilities of speech; the batcher of the voice detector. */
export type DetectVoice = (input: VoiceInput, signal: AbortSignal) => Promise<VoiceOutput>

const ROWS = 8

export function createVoiceModel(log: Log): { detectVoice: DetectVoice; close: () => Promise<void> } {
  const model = new Model<VoiceInput, VoiceOutput>({
    name: 'voice',
    id: 'silero-vad',
    maxBatchSize: ROWS,
    maxQueueSize: 4096,
    // Its file comes with a package.
    fetch: async () => ({ id: 'silero-vad', source: 'local', revision: null, dir: import.meta.dirname, warning: null }),
    createThread: () =>
      new EngineThread({
        module: new URL('./silero-engine.ts', import.meta.url),
        options: { maxBatchSize: ROWS },
        name: 'voice',
      }),
    log,
  })
  model.start()
  return {
    detectVoice: async (input, signal) => (await model.submit(input, signal)).output,
    close: () => model.close(),
  }
}
