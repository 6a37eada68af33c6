/** `/v1/realtime` as the settings want it, over the stages that REST has too. */
import { availableParallelism } from 'node:os'
import type { AccessOptions } from '@hearth/shared/access'
import type { ModelStatus } from '@hearth/shared/api'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import type { Admission } from './admission.ts'
import type { OrchestratorConfig } from './config.ts'
import type { OpenStages } from './create-stages.ts'
import { Captions } from './realtime/captions.ts'
import { ModelWatch } from './realtime/model-watch.ts'
import { RealtimeServer } from './realtime/realtime-server.ts'
import { watchWith } from './realtime/watch.ts'
import type { Sessions } from './sessions.ts'
import type { OpenEars } from './start-ears.ts'
import type { Turns } from './turns.ts'

export type RealtimeParts = {
  readonly stages: OpenStages
  readonly sessions: Sessions
  readonly turns: Turns
  readonly admission: Admission
  readonly access: AccessOptions
  readonly ears: OpenEars
  readonly models: () => readonly ModelStatus[]
  /** Base addresses. */
  readonly services: Readonly<Record<string, string>>
  readonly log: Log
  readonly metrics: Metrics
}

/** A turn that may be thrown away again begins only beside fewer others than that: half of the cores stay free. */
const SPARE_TURNS = Math.max(1, Math.floor(availableParallelism() / 2))

export function startRealtime(
  { orchestrator, realtime, session }: OrchestratorConfig,
  { ears, models, services, ...parts }: RealtimeParts,
): RealtimeServer {
  const { stages, admission, log } = parts
  const optional = () => ears.models().map((model) => ({ ...model, optional: true }))
  return new RealtimeServer({
    ...orchestrator,
    ...realtime,
    ...parts,
    maxHistory: session.maxTurns,
    createWatch: watchWith(ears),
    captions: new Captions({ stt: stages.directStt, log }),
    mayGuess: () => admission.running < SPARE_TURNS,
    models: new ModelWatch({ models: () => [...models(), ...optional()], services: Object.values(services) }),
  })
}
