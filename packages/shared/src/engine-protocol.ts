/** The messages between an engine's thread and the rest, and the rule for which buffers move instead of being copied. */

export type ToWorker<In> =
  | { readonly type: 'load' }
  | { readonly type: 'warm' }
  | { readonly type: 'run'; readonly id: number; readonly inputs: readonly In[] }
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'close' }

export type FromWorker<In, Out, Piece> =
  | { readonly type: 'loaded'; readonly maxBatchSize: number; readonly loadMs: number }
  | { readonly type: 'warmed'; readonly firstInferenceMs: number; readonly secondInferenceMs: number }
  | { readonly type: 'piece'; readonly id: number; readonly index: number; readonly piece: Piece }
  | { readonly type: 'result'; readonly id: number; readonly outputs: Out[]; readonly inferenceMs: number }
  /** The inputs come home, so that the batcher can try them again. `id` is null for load and warm. */
  | { readonly type: 'failed'; readonly id: number | null; readonly message: string; readonly inputs: readonly In[] }
  | { readonly type: 'closed' }

/** What `new Worker(engine-worker.ts)` is given. */
export type WorkerStart = { readonly module: string; readonly options: unknown }

/**
 * The ArrayBuffers in `value` that can be transferred: those of typed arrays that cover their whole buffer. A view into a larger buffer
 * (a slice, or anything from Node's shared Buffer pool) stays out and is copied, because transferring would take its neighbours along.
 */
export function transferables(value: unknown, found = new Set<ArrayBuffer>()): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteLength } = value
    if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength && byteLength > 0) found.add(buffer)
  } else if (Array.isArray(value)) {
    if (typeof value[0] === 'object') for (const item of value) transferables(item, found)
  } else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) transferables(item, found)
  }
  return [...found]
}
