/**
 * What live conversations hear with: the voice detector and the turn-end model, loaded once, each in a thread of this process. They cost a
 * core only while somebody talks. Nothing waits for them: without the second, silence alone ends turns.
 */
import type { Ears } from '@hearth/hearing/speech-watch'
import { createJudge, createTurnEndModel } from '@hearth/hearing/turn-end-model'
import { createVoiceModel } from '@hearth/hearing/voice-model'
import type { ModelStatus } from '@hearth/shared/api'
import { storeOptions } from '@hearth/shared/service-settings'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import type { OrchestratorConfig } from './config.ts'

export type OpenEars = Ears & {
  readonly models: () => readonly ModelStatus[]
  readonly turnEndStatus: () => ModelStatus
  readonly close: () => Promise<void>
}

/** Conversations that are listened to side by side. */
const ROWS = 32
/** A frame is 32 ms: that much later nobody is heard too late, and eight talkers side by side cost less than half of eight one by one. */
const PACE_MS = 20

export function startEars(config: OrchestratorConfig, log: Log, metrics: Metrics): OpenEars {
  const voice = createVoiceModel({ log, metrics, rows: ROWS, paceMs: PACE_MS })
  voice.start()
  const turnEnd = createTurnEndModel({
    settings: config.turn,
    store: storeOptions(config, config.turn, log),
    log,
    metrics,
  })
  turnEnd.start()
  return {
    followVoice: voice.followVoice,
    judgeTurnEnd: createJudge({ model: turnEnd, log }),
    models: () => [voice.status(), turnEnd.status],
    turnEndStatus: () => turnEnd.status,
    close: async () => {
      await Promise.all([voice.close(), turnEnd.close()])
    },
  }
}
