/** An engine thread without a thread: it doubles numbers, and what it is to do wrong or late a test decides. */
import { AppError } from '../errors.ts'
import type { EngineThread } from '../engine-thread.ts'

export type StubThread = Pick<EngineThread<number, number>, 'load' | 'warm' | 'run' | 'close' | 'crashed'>

export type StubOptions = {
  /** Awaited by each load; a rejection fails it. */
  load?: () => Promise<void>
  /** Awaited by each run. */
  run?: () => Promise<void>
  onClose?: () => void
  /** What is added to each doubled number, so that answers tell who gave them. */
  plus?: number
}

export function stubThread({ load, run, onClose, plus = 0 }: StubOptions = {}): StubThread {
  let isClosed = false
  const warmMs = [2, 1]
  return {
    crashed: new Promise<AppError>(() => undefined),
    load: async () => {
      await load?.()
      return { maxBatchSize: 4, loadMs: 1 }
    },
    warm: async () => warmMs.shift() ?? null,
    run: async (inputs) => {
      await run?.()
      if (isClosed) throw new AppError('engine_failed', 'this engine was closed while it ran')
      return { outputs: inputs.map((input) => 2 * input + plus), inferenceMs: 1 }
    },
    close: async () => {
      if (!isClosed) onClose?.()
      isClosed = true
    },
  }
}
