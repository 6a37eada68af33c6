/** An engine without a model, for tests of everything around engines: it runs in a real worker thread and does what its inputs say. */
import type { Engine, EngineRun } from '../engine.ts'

/** `data` is sent back doubled. The other fields make the engine misbehave. */
export type FakeInput = {
  readonly data: Float32Array
  readonly do?: 'fail' | 'exit' | 'throw-later' | 'spin' | 'wait-for-abort'
  /** Pieces sent before the result. */
  readonly pieces?: number
}
export type FakeOutput = { readonly data: Float32Array; readonly batchSize: number; readonly wasAborted: boolean }
export type FakeOptions = {
  readonly maxBatchSize?: number
  readonly loadFails?: boolean
  /** Loading fails in this many engines before one succeeds, counted in a shared buffer because each engine has a thread of its own. */
  readonly loadFailures?: SharedArrayBuffer
  readonly closeHangs?: boolean
}

export function createEngine(options: FakeOptions): Engine<FakeInput, FakeOutput, number> {
  return {
    maxBatchSize: options.maxBatchSize ?? 4,
    warmupInputs: [fakeInput(1), fakeInput(1, 2, 3)],
    load: async () => {
      const failures = new Int32Array(options.loadFailures ?? new SharedArrayBuffer(4))
      if (options.loadFails || Atomics.sub(failures, 0, 1) > 0) throw new Error('the weights are broken')
    },
    run: async (batch, run) => Promise.all(batch.map((input, index) => runOne(input, index, batch.length, run))),
    close: async () => {
      if (options.closeHangs) for (;;);
    },
  }
}

export const fakeInput = (...values: number[]): FakeInput => ({ data: Float32Array.from(values) })

async function runOne(input: FakeInput, index: number, batchSize: number, run: EngineRun<number>): Promise<FakeOutput> {
  for (let piece = 0; piece < (input.pieces ?? 0); piece++) run.emit(index, piece)
  switch (input.do) {
    case 'fail':
      throw new Error('this row is bad')
    case 'exit':
      return process.exit(7)
    case 'throw-later':
      setTimeout(() => {
        throw new Error('outside of any call')
      })
      return new Promise(() => undefined)
    case 'spin':
      for (;;);
    case 'wait-for-abort':
      await new Promise((done) => run.signal.addEventListener('abort', done, { once: true }))
  }
  return { data: input.data.map((value) => 2 * value), batchSize, wasAborted: run.signal.aborted }
}
