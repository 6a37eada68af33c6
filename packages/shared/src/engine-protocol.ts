/** The messages between an engine's thread and the rest, and the rule for which buffers move instead of being copied. */
import { isMarkedAsUntransferable } from 'node:worker_threads'

export type ToWorker<In> =
  | { readonly type: 'load' }
  | { readonly type: 'warm' }
  | { readonly type: 'run'; readonly id: number; readonly inputs: readonly In[] }
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'close' }

export type FromWorker<In, Out, Piece> =
  | { readonly type: 'loaded'; readonly maxBatchSize: number; readonly loadMs: number }
  | { readonly type: 'warmed'; readonly ms: number | null }
  | { readonly type: 'piece'; readonly id: number; readonly index: number; readonly piece: Piece }
  | { readonly type: 'result'; readonly id: number; readonly outputs: Out[]; readonly inferenceMs: number }
  | EngineFailure<In>
  | { readonly type: 'closed' }

/** What the engine threw. The inputs come home, so that the batcher can try them again. `id` is null for load and warm. */
export type EngineFailure<In> = {
  readonly type: 'failed'
  readonly id: number | null
  readonly message: string
  readonly stack: string | undefined
  readonly inputs: readonly In[]
}

/** What `new Worker(engine-worker.ts)` is given. */
export type WorkerStart = { readonly module: string; readonly options: unknown; readonly slowMs: number }

/**
 * The ArrayBuffers in plain data that can be transferred: those of typed arrays that cover their whole buffer. A view into a larger buffer
 * (a slice, or anything from Node's shared Buffer pool) stays out and is copied, because transferring would take its neighbours along; so
 * does memory that native code lent (Node marks it), which can't change hands.
 */
export function transferables(message: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  const seen = new Set<object>()
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    if (ArrayBuffer.isView(value)) return void (value.byteLength === value.buffer.byteLength && walk(value.buffer))
    if (value instanceof ArrayBuffer) return void (canMove(value) && found.add(value))
    for (const item of Array.isArray(value) ? value : Object.values(value)) walk(item)
  }
  walk(message)
  return [...found]
}

const canMove = (buffer: ArrayBuffer): boolean => buffer.byteLength > 0 && !isMarkedAsUntransferable(buffer)
