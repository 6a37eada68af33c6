/**
 * The part of Chroma's HTTP interface (v2) that memory needs. Chroma's own client has no time limits, so a server that hangs would hang a
 * turn; and it would build an embedding function from what a collection says of itself, which memory must never do.
 */
import { AppError } from '@hearth/shared/errors'
import * as z from 'zod'
import { within } from './limit.ts'

export type ChromaOptions = {
  /** Without a trailing slash. */
  readonly url: string
  /** For one call, whatever the turn's budget. */
  readonly limitMs: number
}

const Metadata = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
export type Metadata = z.infer<typeof Metadata>

const CollectionShape = z.object({
  id: z.string(),
  name: z.string(),
  metadata: Metadata.nullish(),
  dimension: z.number().nullish(),
})
export type Collection = z.infer<typeof CollectionShape>

const Records = z.object({
  ids: z.array(z.string()),
  metadatas: z.array(Metadata.nullable()).nullish(),
  embeddings: z.array(z.array(z.number())).nullish(),
})
const Nearest = z.object({
  ids: z.array(z.array(z.string())),
  metadatas: z.array(z.array(Metadata.nullable())).nullish(),
  distances: z.array(z.array(z.number().nullable())),
})

export type ChromaRecord = { readonly id: string; readonly metadata: Metadata; readonly vector: Float32Array }

/** `similarity`: the cosine. */
export type NearRecord = Omit<ChromaRecord, 'vector'> & { readonly similarity: number }

export type NewRecord = ChromaRecord & { readonly document: string }

export type GetQuery = {
  readonly ids?: readonly string[]
  readonly where?: object | undefined
  readonly whereDocument?: object | undefined
  readonly limit?: number
  readonly offset?: number
}

/** Every call throws `dependency_unavailable` (no answer, not in time, none that can be used), and the signal's reason. */
export class Chroma {
  readonly #options: ChromaOptions

  constructor(options: ChromaOptions) {
    this.#options = options
  }

  /** All of the server's collections. */
  async collections(signal: AbortSignal): Promise<readonly Collection[]> {
    const all: Collection[] = []
    for (;;) {
      const page = await this.#call('GET', `?limit=${PAGE}&offset=${all.length}`, z.array(CollectionShape), signal)
      all.push(...page)
      if (page.length < PAGE) return all
    }
  }

  /** The collection of that name, which is made unless there is one; searched by cosine. */
  open(name: string, metadata: Metadata, signal: AbortSignal): Promise<Collection> {
    const body = { name, metadata, configuration: { hnsw: { space: 'cosine' } }, get_or_create: true }
    return this.#call('POST', '', CollectionShape, signal, body)
  }

  async drop(name: string, signal: AbortSignal): Promise<void> {
    await this.#call('DELETE', `/${name}`, z.unknown(), signal)
  }

  async upsert(id: string, added: readonly NewRecord[], signal: AbortSignal): Promise<void> {
    const body = {
      ids: added.map((record) => record.id),
      embeddings: added.map(({ vector }) => Array.from(vector)),
      metadatas: added.map(({ metadata }) => metadata),
      documents: added.map(({ document }) => document),
    }
    await this.#call('POST', `/${id}/upsert`, z.unknown(), signal, body)
  }

  /** Nearest first. Without their vectors, which would be most of the answer. */
  async query(id: string, vector: Float32Array, limit: number, signal: AbortSignal): Promise<readonly NearRecord[]> {
    const body = { query_embeddings: [Array.from(vector)], n_results: limit, include: ['metadatas', 'distances'] }
    const found = await this.#call('POST', `/${id}/query`, Nearest, signal, body)
    return (found.ids[0] ?? []).flatMap((one, at) => {
      const [metadata, distance] = [found.metadatas?.[0]?.[at], found.distances[0]?.[at]]
      return metadata && typeof distance === 'number' ? [{ id: one, metadata, similarity: 1 - distance }] : []
    })
  }

  async get(
    id: string,
    { ids, where, whereDocument, limit, offset }: GetQuery,
    signal: AbortSignal,
  ): Promise<readonly ChromaRecord[]> {
    const body = {
      ...(ids && { ids }),
      ...(where && { where }),
      ...(whereDocument && { where_document: whereDocument }),
      ...(limit !== undefined && { limit }),
      ...(offset !== undefined && { offset }),
      include: ['metadatas', 'embeddings'],
    }
    return records(await this.#call('POST', `/${id}/get`, Records, signal, body))
  }

  async delete(id: string, ids: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#call('POST', `/${id}/delete`, z.unknown(), signal, { ids })
  }

  count(id: string, signal: AbortSignal): Promise<number> {
    return this.#call('GET', `/${id}/count`, z.number(), signal)
  }

  async #call<T>(method: string, path: string, shape: z.ZodType<T>, signal: AbortSignal, body?: object): Promise<T> {
    const { url, limitMs } = this.#options
    try {
      return await within(limitMs, signal, async (limit) => {
        const json = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
        const response = await fetch(url + COLLECTIONS + path, { method, redirect: 'error', signal: limit, ...json })
        if (response.ok) return shape.parse(await response.json())
        await response.body?.cancel()
        throw away(`it answered ${response.status}`, { status: response.status })
      })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof AppError && error.code === 'dependency_unavailable') throw error
      throw away(error instanceof AppError ? error.message : 'it does not answer, or not what was expected', {}, error)
    }
  }
}

/** Whether it is the collection that is gone, and not the server. */
export const isGone = (error: unknown): boolean => error instanceof AppError && error.details['status'] === 404

const COLLECTIONS = '/api/v2/tenants/default_tenant/databases/default_database/collections'
const PAGE = 1000

function away(why: string, details: { status?: number }, cause?: unknown): AppError {
  const message = `memory: Chroma is away (${why})`
  return new AppError('dependency_unavailable', message, { cause, details: { stage: 'memory', ...details } })
}

function records({ ids, metadatas, embeddings }: z.infer<typeof Records>): ChromaRecord[] {
  return ids.flatMap((id, at) => {
    const [metadata, vector] = [metadatas?.[at], embeddings?.[at]]
    return metadata && vector ? [{ id, metadata, vector: Float32Array.from(vector) }] : []
  })
}
