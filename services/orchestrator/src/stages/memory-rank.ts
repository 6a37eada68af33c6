/**
 * Which of the notes that have to do with a question are told to the language model: mostly the nearest, but of two that are about as near the
 * one that was said lately, or that matters more.
 */
import type { RecalledMemory } from '@hearth/shared/api'
import { dot } from './memory-note.ts'
import type { EmbeddedNote, Found } from './memory-note.ts'

const WEIGHTS = { similarity: 0.7, recency: 0.15, importance: 0.15 } as const
const DAY_MS = 86_400_000
/** Days after which a note is half as recent. */
const HALF_LIFE_DAYS = 30
/** A note that another one leads to may be less near, by this much of the threshold. */
const LINKED = 0.6

/** Milliseconds since 1970, both. One while it was just said, a half after a month. */
export const recencyOf = (saidAt: number, now: number): number =>
  2 ** -(Math.max(0, now - saidAt) / DAY_MS / HALF_LIFE_DAYS)

export function scored({ note, similarity }: Found, now: number, linkedFrom: string | null = null): RecalledMemory {
  const parts = { similarity, recency: recencyOf(note.saidAt, now), importance: note.importance }
  const score = WEIGHTS.similarity * similarity + WEIGHTS.recency * parts.recency + WEIGHTS.importance * note.importance
  return {
    id: note.id,
    text: note.text,
    score: rounded(score),
    similarity: rounded(similarity),
    recency: rounded(parts.recency),
    importance: rounded(note.importance),
    ...(linkedFrom !== null && { linkedFrom }),
  }
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000

/** The best first; none below the threshold. */
export const ranked = (found: readonly Found[], threshold: number, now: number): RecalledMemory[] =>
  found
    .filter(({ similarity }) => similarity >= threshold)
    .map((one) => scored(one, now))
    .toSorted((a, b) => b.score - a.score)

/** Of the notes to which the best lead, those that have something to do with the question, the best first. */
export function linked(
  notes: readonly EmbeddedNote[],
  { vector, threshold, now }: { vector: Float32Array; threshold: number; now: number },
  leading: ReadonlyMap<string, string>,
): RecalledMemory[] {
  return notes
    .filter(({ supersededBy }) => supersededBy === null)
    .map((note) => ({ note, similarity: dot(vector, note.vector) }))
    .filter(({ similarity }) => similarity >= threshold * LINKED)
    .map((found) => scored(found, now, leading.get(found.note.id) ?? null))
    .toSorted((a, b) => b.score - a.score)
}
