/** What the collections of memory are called: hashes, because a user's name and a model's are no names that Chroma takes. */
import { createHash } from 'node:crypto'
import { modelKey } from './memory-note.ts'
import type { EmbeddingModel } from './memory-note.ts'

const USER_CHARS = 24

/** What the names of a user's collections begin with. */
export const userPrefix = (user: string): string =>
  `hearth-${createHash('sha256').update(user).digest('hex').slice(0, USER_CHARS)}-`

const MODEL_CHARS = 12
/** The server may have other people's collections. */
const OURS = new RegExp(`^hearth-[0-9a-f]{${USER_CHARS}}-[0-9a-f]{${MODEL_CHARS}}$`)

export const isOurs = (name: string): boolean => OURS.test(name)

export const modelHash = (embedding: EmbeddingModel): string =>
  createHash('sha256').update(modelKey(embedding)).digest('hex').slice(0, MODEL_CHARS)

/** The collection of a user's notes that this model has embedded. */
export const nameOf = (user: string, embedding: EmbeddingModel): string => `${userPrefix(user)}${modelHash(embedding)}`
