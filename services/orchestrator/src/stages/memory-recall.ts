/** From a question to the few notes that are told to the language model: embedded, searched, ranked, and the links of the best followed. */
import type { RecalledMemory } from '@hearth/shared/api'
import type { Embedder } from './embeddings.ts'
import type { EmbeddingModel, Found, NoteStore } from './memory-note.ts'
import { linked, ranked } from './memory-rank.ts'

/** `memories`: the best first. `model` made the vectors. */
export type Recalled = { readonly memories: readonly RecalledMemory[]; readonly model: string }

export type RecallParts = {
  readonly embedder: Embedder
  readonly store: NoteStore
  /** Cosine below which a note has nothing to do with the question. */
  readonly threshold: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Told which model answered. */
  readonly onModel: (embedding: EmbeddingModel) => void
}

const MOST_RECALLED = 5
/** Compared before the best are chosen: a recent one may come before a nearer one. */
const CANDIDATES = 20
/** Whose links are followed. */
const LEADING = 3
const QUESTION_CHARS = 500

/** Throws what the embedder and the store throw, and the signal's reason. */
export async function recallNotes(
  text: string,
  user: string,
  parts: RecallParts,
  signal: AbortSignal,
): Promise<Recalled> {
  const { embedder, store, threshold, now, onModel } = parts
  const { vectors, model, revision = null } = await embedder.embed([text.slice(0, QUESTION_CHARS)], signal)
  const [vector] = vectors
  signal.throwIfAborted()
  if (!vector) return { memories: [], model }
  const embedding = { model, revision }
  onModel(embedding)
  const found = await store.nearest({ user, embedding, vector, limit: CANDIDATES }, signal)
  const best = ranked(found, threshold, now()).slice(0, MOST_RECALLED)
  const leading = best.length < MOST_RECALLED ? linksOf(best, found) : new Map<string, string>()
  const notes = leading.size > 0 ? await store.get(user, [...leading.keys()], signal) : []
  const more = linked(notes, { vector, threshold, now: now() }, leading)
  return { memories: [...best, ...more].slice(0, MOST_RECALLED), model }
}

/** The notes to which the best lead, and from which of them. */
function linksOf(best: readonly RecalledMemory[], found: readonly Found[]): Map<string, string> {
  const known = new Set(best.map(({ id }) => id))
  const leading = best.slice(0, LEADING).flatMap(({ id }) => {
    const from = found.find(({ note }) => note.id === id)
    return (from?.note.links ?? []).filter((link) => !known.has(link)).map((link) => [link, id] as const)
  })
  return new Map(leading)
}
