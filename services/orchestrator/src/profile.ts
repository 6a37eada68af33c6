/** Where a turn's time went, told to its client, to the metrics and to the log; all from one clock. Never what was said. */
import { addServerTiming } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import type { Metrics } from '@hearth/shared/telemetry'
import type { Context } from 'hono'
import type { TurnClock } from './turn-events.ts'

/** Each stage into the reply's `Server-Timing`; the total comes by itself. */
export function tellStages(c: Context<AppEnv>, clock: TurnClock): void {
  for (const [stage, ms] of clock.entries()) if (stage !== 'total') addServerTiming(c, `${stage};dur=${ms}`)
}

/** Each stage and the total into the histogram of stages. */
export function observeStages(metrics: Metrics, clock: TurnClock): void {
  for (const [stage, ms] of clock.entries()) metrics.observeStage(stage, ms)
}
