/** An engine without a model, for tests of everything around engines: it runs in a real worker thread and does what its inputs say. */
import { openSync } from 'node:fs'
import type { Engine, EngineRun } from '../engine.ts'
import { count, countOf, gateOpen } from './fake-control.ts'

/** `data` is sent back doubled. The other fields make the engine misbehave. */
export type FakeInput = {
  readonly data: Float32Array
  readonly do?:
    | 'fail'
    | 'exit'
    | 'throw-later'
    | 'throw-when-idle'
    | 'out-of-memory'
    | 'spin'
    | 'wait'
    | 'wait-for-abort'
  /** Blocks inside native code until somebody opens this named pipe for writing. */
  readonly blocksOn?: string
  /** Pieces sent before the result. */
  readonly pieces?: number
}
export type FakeOutput = {
  readonly data: Float32Array
  readonly batchSize: number
  readonly wasAborted: boolean
  /** Whether the output of the run before left this thread without a copy staying behind. */
  readonly lastWasMoved: boolean
}
export type FakeOptions = {
  readonly maxBatchSize?: number
  readonly load?: 'ok' | 'fail' | 'exit' | 'wait' | 'hang' | 'out-of-memory'
  /** Loading fails in this many engines before one succeeds, counted in a shared buffer because each engine has a thread of its own. */
  readonly loadFailures?: SharedArrayBuffer
  readonly dropsLastRow?: boolean
  readonly closeHangs?: boolean
  readonly noWarmup?: boolean
  /** The warm-up goes on until it is aborted. */
  readonly longWarmup?: boolean
  /** What the second input of the warm-up does, which comes after "ready". */
  readonly laterWarmup?: FakeInput['do']
  /** `FakeControl.shared`: counters, and the gate of `wait`. */
  readonly shared?: SharedArrayBuffer
}

export const fakeInput = (...values: number[]): FakeInput => ({ data: Float32Array.from(values) })

export function createEngine(options: FakeOptions): Engine<FakeInput, FakeOutput, number> {
  const { shared } = options
  let last: Float32Array | undefined
  return {
    maxBatchSize: options.maxBatchSize ?? 4,
    warmupInputs: warmupInputs(options),
    load: () => load(options),
    run: async (batch, run) => {
      count(shared, 'runs')
      count(shared, 'busy')
      const lastWasMoved = last !== undefined && last.byteLength === 0
      const rows = batch.map((input, index) => runOne(input, index, options, run))
      const outputs = (await Promise.all(rows).finally(() => count(shared, 'busy', -1))).map((row): FakeOutput => ({
        ...row,
        batchSize: batch.length,
        lastWasMoved,
      }))
      last = outputs[0]?.data
      return options.dropsLastRow ? outputs.slice(0, -1) : outputs
    },
    close: async () => {
      count(shared, 'closes')
      count(shared, 'closedWhileBusy', countOf(shared, 'busy'))
      if (options.closeHangs) for (;;);
    },
  }
}

function warmupInputs({ noWarmup, longWarmup, laterWarmup }: FakeOptions): FakeInput[] {
  if (noWarmup) return []
  if (longWarmup) return [{ ...fakeInput(1), do: 'wait-for-abort' }]
  return [fakeInput(1), { ...fakeInput(1, 2, 3), ...(laterWarmup && { do: laterWarmup }) }]
}

async function load(options: FakeOptions): Promise<void> {
  count(options.shared, 'loads')
  count(options.shared, 'entered')
  if (options.load === 'exit' && isDue(options)) process.exit(5)
  if (options.load === 'out-of-memory' && isDue(options)) fillMemory()
  if (options.load === 'hang') await new Promise(() => undefined)
  if (options.load === 'wait') await gateOpen(options.shared)
  const isBroken = options.load === undefined || options.load === 'ok' ? failuresLeft(options) : options.load === 'fail'
  if (isBroken) throw new Error('the weights are broken')
}

/** Whether this load is one of those that go wrong; all are unless they are counted. */
const isDue = (options: FakeOptions): boolean => options.loadFailures === undefined || failuresLeft(options)

const failuresLeft = ({ loadFailures }: FakeOptions): boolean =>
  loadFailures !== undefined && Atomics.sub(new Int32Array(loadFailures), 0, 1) > 0

async function runOne(
  input: FakeInput,
  index: number,
  { shared }: FakeOptions,
  run: EngineRun<number>,
): Promise<Pick<FakeOutput, 'data' | 'wasAborted'>> {
  count(shared, 'rows')
  count(shared, 'entered')
  for (let piece = 0; piece < (input.pieces ?? 0); piece++) run.emit(index, piece)
  if (input.blocksOn) openSync(input.blocksOn, 'r')
  await misbehave(input, shared, run)
  return { data: input.data.map((value) => 2 * value), wasAborted: run.signal.aborted }
}

async function misbehave(
  input: FakeInput,
  shared: SharedArrayBuffer | undefined,
  run: EngineRun<number>,
): Promise<void> {
  switch (input.do) {
    case 'fail':
      throw new Error('this row is bad')
    case 'exit':
      return process.exit(7)
    case 'throw-later':
      setTimeout(throwOutside)
      return new Promise(() => undefined)
    case 'throw-when-idle':
      setTimeout(throwOutside)
      return undefined
    case 'out-of-memory':
      return fillMemory()
    case 'spin':
      for (;;);
    case 'wait':
      return gateOpen(shared)
    case 'wait-for-abort':
      return aborted(run.signal)
    case undefined:
      return undefined
  }
}

function fillMemory(): never {
  for (const hoard: unknown[] = []; ;) hoard.push(Array.from({ length: 10_000 }, () => ({})))
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((done) => (signal.aborted ? done() : signal.addEventListener('abort', () => done(), { once: true })))

function throwOutside(): never {
  throw new Error('outside of any call')
}
