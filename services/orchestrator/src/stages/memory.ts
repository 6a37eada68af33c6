/**
 * Memory: what a user said about themselves in one session is known in the next. Only the user's own words are kept, and only
 * their owner's are ever given back. Texts are compared by meaning, as vectors of one embedding model.
 */
import { within } from './limit.ts'
import type { Embedder } from './embeddings.ts'
import { statementsOf, withoutOutdated } from './statements.ts'

/** `memories` are the user's own sentences, newest first. `model` made the vectors. */
export type Recalled = { readonly memories: readonly string[]; readonly model: string }

export type Said = { readonly text: string; readonly user: string; readonly session: string }

export interface Memory {
  /** What `user` once said that has to do with `text`; at most five sentences. */
  recall(text: string, user: string, signal: AbortSignal): Promise<Recalled>
  /** Keeps what is worth keeping of what the user said. */
  remember(said: Said, signal: AbortSignal): Promise<void>
}

/** One sentence as it is stored. `vector` has length 1 (Euclidean), so that a dot product is a cosine. */
export type MemoryRow = Said & {
  readonly kind: 'statement'
  readonly model: string
  readonly vector: Float32Array
}

export type MemoryQuery = {
  readonly user: string
  readonly model: string
  readonly vector: Float32Array
  readonly limit: number
  /** Cosine below which a row has nothing to do with the question. */
  readonly threshold: number
}

export interface MemoryStore {
  /** A sentence that the user has said before is not stored twice; it becomes the newest. */
  add(row: MemoryRow): void
  /** Texts of the nearest rows of this user and model, newest first. */
  search(query: MemoryQuery): string[]
  close(): void
}

export type MemoryOptions = {
  readonly embedder: Embedder
  readonly store: MemoryStore
  readonly threshold: number
  /** Longer than this a turn never waits for `recall`, nor for `remember`. */
  readonly budgetMs: number
}

const MOST_RECALLED = 5
/** Of one utterance; a long dictation does not become a hundred rows. */
const MOST_STATEMENTS = 10
const QUESTION_CHARS = 500

export function createMemory({ embedder, store, threshold, budgetMs }: MemoryOptions): Memory {
  return {
    recall: (text, user, signal) =>
      within(budgetMs, signal, async (limit) => {
        const { vectors, model } = await embedder.embed([text.slice(0, QUESTION_CHARS)], limit)
        const [vector] = vectors
        limit.throwIfAborted()
        const found = vector ? store.search({ user, model, vector, limit: MOST_RECALLED, threshold }) : []
        return { memories: withoutOutdated(found), model }
      }),

    remember: (said, signal) =>
      within(budgetMs, signal, async (limit) => {
        const statements = statementsOf(said.text).slice(0, MOST_STATEMENTS)
        if (statements.length === 0) return
        const { vectors, model } = await embedder.embed(statements, limit)
        limit.throwIfAborted()
        for (const [index, text] of statements.entries()) {
          const vector = vectors[index]
          if (vector) store.add({ ...said, text, kind: 'statement', model, vector })
        }
      }),
  }
}
