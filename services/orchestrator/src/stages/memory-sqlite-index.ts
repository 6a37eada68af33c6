/**
 * The codes of SQLite's notes in memory, one index for each user and model that was asked for lately. They are read from the file some thousands at
 * a time, so that nobody else waits, and follow what is put and deleted.
 */
import type { DatabaseSync } from 'node:sqlite'
import { CodeIndex, codeOf } from './memory-codes.ts'
import { modelKey } from './memory-note.ts'
import type { EmbeddedNote, EmbeddingModel } from './memory-note.ts'
import { aligned } from './memory-sqlite-rows.ts'

/** Users whose codes are in memory at the same time; 5 MB for one with the most notes. */
const MOST_INDEXES = 64
/** Read in one go: a few milliseconds. */
const CODES_AT_ONCE = 2000

/** `read` resolves when all of the file's codes are in it. */
type OwnIndex = { readonly index: CodeIndex; readonly read: Promise<void> }

export class NoteIndexes {
  readonly #database: DatabaseSync
  /** By user and model, the one used last at the end. */
  readonly #indexes = new Map<string, OwnIndex>()
  #version = 0

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** The codes of a user and model, read from the file unless they are in memory already. `size`: of the vectors. */
  async of(user: string, embedding: EmbeddingModel, size: number): Promise<CodeIndex> {
    this.#dropOutdated()
    const key = modelKey(embedding)
    const name = `${user}\0${key}`
    const known = this.#indexes.get(name) ?? this.#begun(name, user, key, size)
    this.#indexes.delete(name)
    this.#indexes.set(name, known)
    const [oldest] = this.#indexes.keys()
    if (this.#indexes.size > MOST_INDEXES && oldest !== undefined) this.#indexes.delete(oldest)
    await known.read
    return known.index
  }

  /** A note that is in the file now, as `key`. */
  put(key: number, { user, embedding, supersededBy, vector }: EmbeddedNote): void {
    const own = `${user}\0${modelKey(embedding)}`
    for (const [name, index] of this.#of(user)) {
      if (name === own && supersededBy === null) index.set(key, codeOf(vector))
      else index.delete(key)
    }
  }

  /** Notes that are no more in the file. */
  delete(user: string, keys: readonly number[]): void {
    for (const [, index] of this.#of(user)) for (const key of keys) index.delete(key)
  }

  forget(user: string): void {
    for (const [name] of this.#of(user)) this.#indexes.delete(name)
  }

  #of(user: string): [name: string, index: CodeIndex][] {
    return [...this.#indexes].filter(([name]) => name.startsWith(`${user}\0`)).map(([name, { index }]) => [name, index])
  }

  #begun(name: string, user: string, key: string, size: number): OwnIndex {
    const index = new CodeIndex(Math.ceil(size / 32))
    const read = this.#read(index, user, key)
    read.catch(() => this.#indexes.delete(name))
    return { index, read }
  }

  /** What is put meanwhile is in the index already. */
  async #read(index: CodeIndex, user: string, key: string): Promise<void> {
    const codes = this.#database.prepare(
      `SELECT key, code FROM notes WHERE user = ? AND model_key = ? AND superseded_by IS NULL AND key > ?
      ORDER BY key LIMIT ${CODES_AT_ONCE}`,
    )
    let last = -1
    for (;;) {
      const rows = codes.all(user, key, last)
      for (const { key: place, code } of rows)
        if (code instanceof Uint8Array) index.set((last = Number(place)), wordsFrom(code))
      if (rows.length < CODES_AT_ONCE) return
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Another process that writes to the file is told by SQLite. */
  #dropOutdated(): void {
    const version = Number(this.#database.prepare('PRAGMA data_version').get()?.['data_version'])
    if (version !== this.#version) this.#indexes.clear()
    this.#version = version
  }
}

function wordsFrom(bytes: Uint8Array): Uint32Array {
  const { buffer, byteOffset, byteLength } = aligned(bytes)
  return new Uint32Array(buffer, byteOffset, byteLength / 4)
}
