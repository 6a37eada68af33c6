/**
 * What runs inside an engine's thread: takes messages, calls the engine, answers with results and times. Inference may block here
 * as long as it likes; the thread that serves HTTP never waits for it.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { Engine, EngineModule } from './engine.ts'
import { type FromWorker, type ToWorker, transferables, type WorkerStart } from './engine-protocol.ts'

type In = unknown
type Out = unknown
type Piece = unknown

const port = parentPort
if (!port) throw new Error('this is a bug: engine-worker.ts runs only inside a worker thread')
const { module, options } = workerData as WorkerStart
const { createEngine } = (await import(module)) as EngineModule<unknown, In, Out, Piece>
const engine: Engine<In, Out, Piece> = createEngine(options)
const running = new Map<number, AbortController>()

const send = (message: FromWorker<In, Out, Piece>): void => port.postMessage(message, transferables(message))
const fail = (id: number | null, error: unknown, inputs: readonly In[] = []): void =>
  send({ type: 'failed', id, message: error instanceof Error ? error.message : String(error), inputs })

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now()
  const value = await work()
  return { value, ms: performance.now() - start }
}

async function load(): Promise<void> {
  const { ms } = await timed(() => engine.load())
  send({ type: 'loaded', maxBatchSize: engine.maxBatchSize, loadMs: ms })
}

/** Every warm-up input alone, then as a full batch. The first two runs of the first input are the times people want to see. */
async function warm(): Promise<void> {
  const runIdle = (batch: readonly In[]) =>
    timed(() => engine.run(structuredClone(batch), { signal: new AbortController().signal, emit: () => undefined }))
  const [first] = engine.warmupInputs
  const cold = await runIdle([first])
  const second = await runIdle([first])
  for (const input of engine.warmupInputs.slice(1)) await runIdle([input])
  if (engine.maxBatchSize > 1)
    for (const input of engine.warmupInputs) await runIdle(Array.from({ length: engine.maxBatchSize }, () => input))
  send({ type: 'warmed', firstInferenceMs: cold.ms, secondInferenceMs: second.ms })
}

async function run(id: number, inputs: readonly In[]): Promise<void> {
  const controller = new AbortController()
  running.set(id, controller)
  try {
    const emit = (index: number, piece: Piece) => send({ type: 'piece', id, index, piece })
    const { value, ms } = await timed(() => engine.run(inputs, { signal: controller.signal, emit }))
    send({ type: 'result', id, outputs: value, inferenceMs: ms })
  } catch (error) {
    fail(id, error, inputs)
  } finally {
    running.delete(id)
  }
}

async function close(): Promise<void> {
  for (const controller of running.values()) controller.abort()
  await engine.close()
  send({ type: 'closed' })
  port?.close()
}

port.on('message', (message: ToWorker<In>) => {
  if (message.type === 'load') load().catch((error: unknown) => fail(null, error))
  else if (message.type === 'warm') warm().catch((error: unknown) => fail(null, error))
  else if (message.type === 'run') void run(message.id, message.inputs)
  else if (message.type === 'abort') running.get(message.id)?.abort()
  else close().catch((error: unknown) => fail(null, error))
})
