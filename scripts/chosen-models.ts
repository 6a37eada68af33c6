/** The models that the settings choose: what `npm run models` fetches and `npm run doctor` looks at. */
import type { ConfigOf } from '@hearth/shared/config'
import type { ModelSpec, StoreOptions } from '@hearth/shared/model-store'
import { chooseSpec, type COMMON_SECTIONS, storeOptions, withWeights } from '@hearth/shared/service-settings'
import type { Log } from '@hearth/shared/telemetry'
import turnModel from '../packages/hearing/src/turn-end-model.json' with { type: 'json' }
import { readEmbeddingsConfig } from '../services/embeddings/src/config.ts'
import embeddingsModel from '../services/embeddings/src/model.json' with { type: 'json' }
import { readOrchestratorConfig } from '../services/orchestrator/src/config.ts'
import chatModel from '../services/orchestrator/src/model.json' with { type: 'json' }
import { readSttConfig } from '../services/stt/src/config.ts'
import sttModel from '../services/stt/src/model.json' with { type: 'json' }
import { readTtsConfig } from '../services/tts/src/config.ts'
import ttsModel from '../services/tts/src/model.json' with { type: 'json' }

export const MODEL_NAMES = ['stt', 'tts', 'embeddings', 'chat', 'turn'] as const
export type ModelName = (typeof MODEL_NAMES)[number]
export type ChosenModel = {
  readonly name: ModelName
  readonly spec: ModelSpec
  readonly store: StoreOptions
  /** All goes on without it. */
  readonly isOptional?: boolean
}

/** Throws `invalid_config` that names every variable at fault. */
export function chosenModels(env: NodeJS.ProcessEnv, log: Log): readonly ChosenModel[] {
  const [stt, tts, embeddings, orchestrator] = [
    readSttConfig(env),
    readTtsConfig(env),
    readEmbeddingsConfig(env),
    readOrchestratorConfig(env),
  ]
  const chosen = (
    name: ModelName,
    spec: ModelSpec,
    config: Pick<ConfigOf<typeof COMMON_SECTIONS>, 'hf'>,
    settings: { model?: string | undefined; revision?: string | undefined; modelDir?: string | undefined },
  ): ChosenModel => ({ name, spec: chooseSpec(spec, settings), store: storeOptions(config, settings, log) })
  return [
    chosen('stt', withWeights(sttModel, stt.stt.dtype), stt, stt.stt),
    chosen('tts', ttsModel, tts, tts.tts),
    chosen('embeddings', withWeights(embeddingsModel, embeddings.embeddings.dtype), embeddings, embeddings.embeddings),
    chosen('chat', chatModel, orchestrator, orchestrator.chat),
    { ...chosen('turn', turnModel, orchestrator, orchestrator.turn), isOptional: true },
  ]
}
