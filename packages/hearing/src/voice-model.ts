/** The voice detector: a model of its own in a thread of its own, shared by every recording and every live client of a service. */
import type { ModelStatus } from '@hearth/shared/api'
import { EngineThread } from '@hearth/shared/engine-thread'
import { Model } from '@hearth/shared/model'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import type { VoiceInput, VoiceOutput } from './silero-engine.ts'

/** Probabilities of speech in a recording; the batcher of the voice detector. */
export type DetectVoice = (
  input: Omit<VoiceInput, 'memory'>,
  signal: AbortSignal,
) => Promise<VoiceOutput['probabilities']>

/** The same of the next whole frames of a sound that goes on, with what to give it for those after. */
export type FollowVoice = (input: Pick<VoiceInput, 'samples' | 'memory'>, signal: AbortSignal) => Promise<VoiceOutput>

export type VoiceModel = {
  /** Loads it, unless the first sound did. */
  readonly start: () => void
  readonly detectVoice: DetectVoice
  readonly followVoice: FollowVoice
  readonly status: () => ModelStatus
  readonly close: () => Promise<void>
}

/** `rows`: sounds that are listened to side by side; `paceMs`: how far apart they are listened to, when there are many. */
export function createVoiceModel({
  log,
  metrics,
  rows = 8,
  paceMs = 0,
}: {
  log: Log
  metrics?: Metrics
  rows?: number
  paceMs?: number
}): VoiceModel {
  const model = new Model<VoiceInput, VoiceOutput>({
    name: 'voice',
    id: 'silero-vad',
    maxBatchSize: rows,
    maxQueueSize: 4096,
    paceMs,
    // Its file comes with a package.
    fetch: async () => ({ id: 'silero-vad', source: 'local', revision: null, dir: import.meta.dirname, warning: null }),
    createThread: () =>
      new EngineThread({
        module: new URL('./silero-engine.ts', import.meta.url),
        options: { maxBatchSize: rows },
        name: 'voice',
      }),
    log,
    ...(metrics && { metrics }),
  })
  return {
    start: () => model.start(),
    detectVoice: async (input, signal) => (await model.submit(input, signal)).output.probabilities,
    followVoice: async (input, signal) => (await model.submit({ ...input, skipFrames: 0 }, signal)).output,
    status: () => model.status,
    close: () => model.close(),
  }
}
