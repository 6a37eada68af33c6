/** Texts to vectors, by Hearth's embeddings service or any server of OpenAI's `POST /v1/embeddings`. */
import { EmbeddingsReply } from '@hearth/shared/api'
import { callService } from './service.ts'
import type { Service } from './service.ts'

/** Vector i belongs to text i; each has length 1 (Euclidean). */
export type Embedded = {
  readonly vectors: readonly Float32Array[]
  readonly model: string
  /** Null where the server does not tell it. */
  readonly revision?: string | null
}

export interface Embedder {
  /** `texts`: at least one, none empty. */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Embedded>
}

export function createEmbeddingsClient(service: Service): Embedder {
  return {
    embed: (texts, signal) => {
      const body = JSON.stringify({ input: texts, encoding_format: 'float' })
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
      const read = async (response: Response): Promise<Embedded> => toVectors(await readReply(response), texts.length)
      return callService(service, '/v1/embeddings', init, read, signal)
    },
  }
}

const readReply = async (response: Response) => ({
  ...EmbeddingsReply.parse(await response.json()),
  revision: response.headers.get('x-model-revision'),
})

function toVectors({ data, model, revision }: Awaited<ReturnType<typeof readReply>>, expected: number): Embedded {
  const ordered = data.toSorted((a, b) => a.index - b.index)
  if (ordered.length !== expected || ordered.some(({ index }, at) => index !== at))
    throw new Error(`expected ${expected} vectors, got ${data.length}`)
  const vectors = ordered.map(({ embedding }) => toUnitLength(Float32Array.from(embedding)))
  if (new Set(vectors.map(({ length }) => length)).size > 1) throw new Error('expected vectors of one size')
  return { vectors, model, revision }
}

function toUnitLength(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  if (!(length > 0 && Number.isFinite(length))) throw new Error('expected a vector of finite numbers, not all zero')
  return vector.map((value) => value / length)
}
