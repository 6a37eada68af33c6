/** One memory as it is kept, and the port behind which it is kept: SQLite's file (memory-sqlite.ts) or Chroma (memory-chroma.ts). */
import { createHash } from 'node:crypto'

/** Which model made a vector. Vectors of two revisions are never compared. */
export type EmbeddingModel = { readonly model: string; readonly revision: string | null }

export type Note = {
  readonly id: string
  /** Whose it is; nobody else ever sees it. */
  readonly user: string
  readonly session: string
  /** The turn in which it was said; null when it was not said in one. */
  readonly turn: string | null
  /** `statement`: the user's own words; `note`: written or changed by hand. */
  readonly kind: 'statement' | 'note'
  readonly text: string
  /** Of what a person has one at a time: `name`, `home`. Null for all else. */
  readonly topic: string | null
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** The last time it was said. */
  readonly saidAt: number
  /** From 0 to 1. */
  readonly importance: number
  readonly keywords: readonly string[]
  /** Ids of the user's notes that have to do with it. */
  readonly links: readonly string[]
  /** The note that says otherwise, and was said later. Such a note is kept and listed, but never recalled. */
  readonly supersededBy: string | null
}

/** `vector` has length 1 (Euclidean), so that a dot product is a cosine. */
export type EmbeddedNote = Note & { readonly embedding: EmbeddingModel; readonly vector: Float32Array }

export type NearestQuery = {
  readonly user: string
  readonly embedding: EmbeddingModel
  readonly vector: Float32Array
  readonly limit: number
}

export type Found = { readonly note: Note; readonly similarity: number }

export type ListQuery = {
  readonly user: string
  readonly limit: number
  /** What the page before gave as `next`. */
  readonly after?: string | undefined
  /** Somewhere in the text, whatever the case. */
  readonly text?: string | undefined
  readonly session?: string | undefined
  readonly topic?: string | undefined
}

export type NotePage = { readonly notes: readonly Note[]; readonly next: string | null }

/** Every call throws the signal's reason, `dependency_unavailable` when the store is away, `storage_full`. */
export interface NoteStore {
  /** Adds notes, or replaces those of the same id: also one that another model had embedded. */
  put(notes: readonly EmbeddedNote[], signal: AbortSignal): Promise<void>
  /** Notes of this user and model that are not superseded, nearest first. */
  nearest(query: NearestQuery, signal: AbortSignal): Promise<readonly Found[]>
  get(user: string, ids: readonly string[], signal: AbortSignal): Promise<readonly EmbeddedNote[]>
  /** In the store's own order, each note once. Throws `invalid_request` for an `after` that no page gave. */
  list(query: ListQuery, signal: AbortSignal): Promise<NotePage>
  /** Gives how many there were. */
  delete(user: string, ids: readonly string[], signal: AbortSignal): Promise<number>
  deleteAll(user: string, signal: AbortSignal): Promise<number>
  /** Notes of all users that another model embedded. */
  outdated(embedding: EmbeddingModel, limit: number, signal: AbortSignal): Promise<readonly Note[]>
  close(): void
}

/** The note as people see it. */
export function withoutVector(embedded: EmbeddedNote): Note {
  const { vector: _, embedding: __, ...note } = embedded
  return note
}

export const modelKey = ({ model, revision }: EmbeddingModel): string => `${model}@${revision ?? ''}`

/** Longer texts are cut. */
export const TEXT_CHARS = 500
const ID_CHARS = 24

/** Without control, format (zero-width, bidi), private and unassigned characters; at most 500 of what is left. */
export const plainText = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Z}]+/gu, ' ')
    .replace(/[\p{Cf}\p{Co}\p{Cn}\p{Cs}]/gu, '')
    .trim()
    .slice(0, TEXT_CHARS)
    .toWellFormed()

/** Sentences that differ only in case, marks and spaces are the same. */
export const sameness = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()

/** What a user said twice has one id, so that storing it again changes nothing. `salt` tells notes apart that would share one. */
export const noteId = (user: string, text: string, salt = ''): string =>
  createHash('sha256')
    .update([user, sameness(text), salt].join('\0'))
    .digest('hex')
    .slice(0, ID_CHARS)

/** -1 when the sizes differ. */
export function dot(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return -1
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0)
  return sum
}
