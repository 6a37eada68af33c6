/** The texts of one request through the batcher: each by itself, so that requests share batches and a long one delays nobody. */
import type { BatchResult } from '@hearth/shared/batcher'
import type { TokenIds } from './padding.ts'

export type Submit = (ids: TokenIds, signal: AbortSignal) => Promise<BatchResult<Float32Array> & { model: string }>

export type Embedded = {
  readonly vectors: readonly Float32Array[]
  /** Of the slowest text: its wait, its batch's time and size. Milliseconds. */
  readonly queueMs: number
  readonly inferenceMs: number
  readonly batchSize: number
  readonly model: string
}

/** Vectors in the order of the rows, whose memory moves to the engine. When one fails, so do all, and those that wait are given up. */
export async function embed(rows: readonly TokenIds[], submit: Submit, signal: AbortSignal): Promise<Embedded> {
  const stop = new AbortController()
  const until = AbortSignal.any([signal, stop.signal])
  try {
    const results = await Promise.all(rows.map((ids) => submit(ids, until)))
    const slowest = results.reduce((a, b) => (b.queueMs + b.inferenceMs > a.queueMs + a.inferenceMs ? b : a))
    return { ...slowest, vectors: results.map(({ output }) => output) }
  } catch (error) {
    stop.abort()
    throw error
  }
}
