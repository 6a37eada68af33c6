/**
 * The turn-end model: one in a thread of its own, for all conversations. It gives an opinion, nothing more: while it is away or slow there is
 * none, silence alone decides, and the log says so once.
 */
import { EngineThread } from '@hearth/shared/engine-thread'
import { AppError } from '@hearth/shared/errors'
import { Model } from '@hearth/shared/model'
import { discardModel, fetchModel } from '@hearth/shared/model-store'
import type { ModelFiles, ModelSpec, StoreOptions } from '@hearth/shared/model-store'
import { chooseSpec } from '@hearth/shared/service-settings'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import { systemTimer } from '@hearth/shared/waits'
import type { SetTimer } from '@hearth/shared/waits'
import type { JudgeTurnEnd } from './speech-watch.ts'
import type { TurnEndInput, TurnEndOptions } from './turn-end-engine.ts'
import spec from './turn-end-model.json' with { type: 'json' }

export type TurnEndModel = Model<TurnEndInput, number>

export type TurnEndSettings = { readonly model?: string | undefined; readonly revision?: string | undefined }

export type TurnEndModelOptions = {
  readonly settings: TurnEndSettings
  readonly store: StoreOptions
  readonly log: Log
  readonly metrics?: Metrics
}

const ROWS = 8
/** It is small, and the other cores belong to the transcript that is made at the same time. */
const THREADS = 1
const DEMO_FILE = 'onnx/model.onnx'
/** Later than that, silence has nearly decided. */
const ANSWER_MS = 300

/** The one that the settings choose. */
export const turnEndSpec = (settings: TurnEndSettings): ModelSpec => chooseSpec(spec, settings)

export function createTurnEndModel({ settings, store, log, metrics }: TurnEndModelOptions): TurnEndModel {
  const chosen = turnEndSpec(settings)
  const [graph = ''] = chosen.files
  const createThread = ({ dir, source }: ModelFiles) => {
    const file = source === 'demo' ? DEMO_FILE : graph
    const options: TurnEndOptions = { dir, file, threads: THREADS, maxBatchSize: ROWS }
    return new EngineThread<TurnEndInput, number>({
      module: new URL('./turn-end-engine.ts', import.meta.url),
      options,
      name: 'turn-end',
    })
  }
  return new Model<TurnEndInput, number>({
    name: 'turn-end',
    id: chosen.id,
    fetch: (onProgress, signal) => fetchModel(chosen, store, onProgress, signal),
    onDamaged: (damaged) => discardModel(damaged, store.cacheDir),
    createThread,
    maxBatchSize: ROWS,
    log,
    ...(metrics && { metrics }),
  })
}

export type JudgeOptions = {
  readonly model: Pick<TurnEndModel, 'status' | 'submit'>
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly setTimer?: SetTimer
}

/** The model's opinion, or null after 300 ms and while there is none. */
export function createJudge({ model, log, setTimer = systemTimer }: JudgeOptions): JudgeTurnEnd {
  let isAway = false
  const tell = (away: boolean, err?: unknown) => {
    if (away !== isAway && away) log.warn({ err }, 'silence alone ends turns: the turn-end model is away')
    else if (away !== isAway) log.info({}, 'the turn-end model is back')
    isAway = away
  }
  return async (samples, signal) => {
    signal.throwIfAborted()
    const late = new AbortController()
    const cancel = setTimer(
      () => late.abort(new AppError('deadline_exceeded', `no answer within ${ANSWER_MS} ms`)),
      ANSWER_MS,
    )
    try {
      const { state, error } = model.status
      if (state !== 'ready') throw new AppError('model_loading', error ?? `the turn-end model is ${state}`)
      const { output } = await model.submit({ samples }, AbortSignal.any([signal, late.signal]))
      tell(false)
      return output
    } catch (error) {
      signal.throwIfAborted()
      tell(true, error)
      return null
    } finally {
      cancel()
    }
  }
}
