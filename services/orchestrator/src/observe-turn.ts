/** What is kept of a turn while it runs, whoever reads it: its record, its times in the metrics and the log. Never what was said. */
import type { AppError } from '@hearth/shared/errors'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import { observeStages } from './profile.ts'
import type { TurnClock, TurnEvent } from './turn-events.ts'
import type { TurnRecorder } from './turns.ts'

export type ObservedTurn = {
  readonly requestId: string
  readonly record: TurnRecorder
  readonly clock: TurnClock
  /** Why what was said may be lost with this process; asked at the end of the turn. */
  readonly kept: () => Promise<AppError | undefined>
  readonly log: Log
  readonly metrics: Metrics
}

/** The events as they come. */
export async function* observeTurn(
  events: AsyncIterable<TurnEvent>,
  turn: ObservedTurn,
): AsyncGenerator<TurnEvent, void, void> {
  const { record } = turn
  let fragments = 0
  try {
    for await (const event of events) {
      if (event.type === 'done') {
        const trouble = await turn.kept()
        if (trouble) event.degraded.set('sessions', trouble)
      }
      record.see(event)
      if (event.type === 'audio') fragments++
      if (event.type === 'done') tellProfile(event, fragments, turn)
      yield event
    }
  } catch (error) {
    record.end(error)
    throw error
  }
}

function tellProfile(
  { timings, waterfall, models, ending, degraded }: Extract<TurnEvent, { type: 'done' }>,
  fragments: number,
  { requestId, record, clock, log, metrics }: ObservedTurn,
): void {
  observeStages(metrics, clock)
  for (const [stage, { code, message, cause }] of degraded)
    log.warn({ requestId, stage, code, err: cause ?? message }, 'turn went on without a stage')
  const told = { timings, waterfall, models, usage: ending.usage, degraded: [...degraded.keys()], fragments }
  log.info({ requestId, turn: record.id, event: 'profile', ...told }, '[PROFILING] turn')
}
