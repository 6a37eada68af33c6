/**
 * What runs inside an engine's thread: takes messages, calls the engine, answers with results and times. Inference may block here
 * as long as it likes; the thread that serves HTTP never waits for it.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { Engine, EngineModule } from './engine.ts'
import { type FromWorker, type ToWorker, transferables, type WorkerStart } from './engine-protocol.ts'
import { giveWay } from './thread-priority.ts'

type In = unknown
type Out = unknown
type Piece = unknown

const port = parentPort
if (!port) throw new Error('this is a bug: engine-worker.ts runs only inside a worker thread')
const { module, options, slowMs } = workerData as WorkerStart
giveWay('inference')
const engines = (await import(module)) as EngineModule<unknown, In, Out, Piece>
const engine: Engine<In, Out, Piece> = engines.createEngine(options)
const running = new Map<number, AbortController>()
const closing = new AbortController()
const working = new Set<Promise<void>>()

const send = (message: FromWorker<In, Out, Piece>): void => port.postMessage(message, transferables(message))

/** The answer to one message: what `work` gives, or why it failed. Never rejects. */
async function answer(id: number | null, inputs: readonly In[], work: () => Promise<FromWorker<In, Out, Piece>>) {
  try {
    send(await work())
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    const failure = { type: 'failed', id, message, stack } as const
    try {
      send({ ...failure, inputs })
    } catch {
      send({ ...failure, inputs: [] }) // the engine gave them away
    }
  }
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now()
  const value = await work()
  return { value, ms: performance.now() - start }
}

async function load(): Promise<FromWorker<In, Out, Piece>> {
  const { ms } = await timed(() => engine.load())
  return { type: 'loaded', maxBatchSize: engine.maxBatchSize, loadMs: ms }
}

/**
 * The warm-up part by part, with the milliseconds of each: the first input twice, whose times people want to see; what the engine names; then, of a
 * quick engine, every other input alone and each as a full batch: a slow one gains nothing by them.
 */
async function* warmUp(): AsyncGenerator<number, null> {
  const [first, ...others] = engine.warmupInputs
  if (engine.warmupInputs.length === 0) throw new Error('this is a bug: the engine has no warm-up inputs')
  yield runIdle(first, 1)
  const secondMs = await runIdle(first, 1)
  yield secondMs
  for (const part of engine.warmupParts ?? []) yield (await timed(part)).ms
  if (secondMs >= slowMs) return null
  for (const input of others) yield runIdle(input, 1)
  if (engine.maxBatchSize > 1) for (const input of engine.warmupInputs) yield runIdle(input, engine.maxBatchSize)
  return null
}

const warmth = warmUp()

async function warm(): Promise<FromWorker<In, Out, Piece>> {
  closing.signal.throwIfAborted()
  return { type: 'warmed', ms: (await warmth.next()).value ?? null }
}

async function runIdle(input: In, batchSize: number): Promise<number> {
  const { signal } = closing
  signal.throwIfAborted()
  const batch = Array.from({ length: batchSize }, () => structuredClone(input))
  const { ms } = await timed(() => engine.run(batch, { signal, emit: () => undefined }))
  // One that was broken off has warmed nothing.
  signal.throwIfAborted()
  return ms
}

async function run(id: number, inputs: readonly In[]): Promise<FromWorker<In, Out, Piece>> {
  const controller = new AbortController()
  running.set(id, controller)
  try {
    const emit = (index: number, piece: Piece) => send({ type: 'piece', id, index, piece })
    const { value, ms } = await timed(() => engine.run(inputs, { signal: controller.signal, emit }))
    if (value.length !== inputs.length)
      throw new Error(`this is a bug: the engine gave ${value.length} outputs for ${inputs.length} inputs`)
    return { type: 'result', id, outputs: value, inferenceMs: ms }
  } finally {
    running.delete(id)
  }
}

/** Ends the runs before the engine: closing a session that still computes takes the process down in some libraries. */
async function close(): Promise<void> {
  closing.abort()
  for (const controller of running.values()) controller.abort()
  await Promise.all(working)
  // An engine that can't close is ended with its thread all the same.
  await engine.close().catch(() => undefined)
  send({ type: 'closed' })
  // From within, where nothing native is under way: what a failed load left to be done is not begun any more.
  process.exit()
}

function begin(work: Promise<void>): void {
  working.add(work)
  void work.finally(() => working.delete(work))
}

port.on('message', (message: ToWorker<In>) => {
  switch (message.type) {
    case 'load':
      return begin(answer(null, [], load))
    case 'warm':
      return begin(answer(null, [], warm))
    case 'run':
      return begin(answer(message.id, message.inputs, () => run(message.id, message.inputs)))
    case 'abort':
      return running.get(message.id)?.abort()
    case 'close':
      return void close()
  }
})
