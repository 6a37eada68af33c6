/**
 * Memory in one SQLite file. A search looks at every code of its user in an index in memory (memory-codes.ts), which the file also holds, and
 * compares the nearest exactly. Calls are synchronous and block the thread, so each is kept to a few milliseconds.
 */
import type { DatabaseSync } from 'node:sqlite'
import { AppError } from '@hearth/shared/errors'
import { CodeIndex, codeOf } from './memory-codes.ts'
import { dot, modelKey, withoutVector } from './memory-note.ts'
import type {
  EmbeddedNote,
  EmbeddingModel,
  Found,
  ListQuery,
  NearestQuery,
  Note,
  NotePage,
  NoteStore,
} from './memory-note.ts'
import { columnsOf, NoteRow, noteFrom, PUT, SCHEMA, vectorFrom } from './memory-sqlite-rows.ts'
import { openFile } from './memory-sqlite-file.ts'
import type { FileOptions } from './memory-sqlite-file.ts'

/** A user's notes; the oldest go. */
const MOST_NOTES = 100_000
/** Compared exactly for each one wanted: signs alone take a near one for the nearest. */
const CODES_PER_RESULT = 16
const LEAST_CODES = 200
/** Users whose codes are in memory at the same time; 5 MB for one with the most notes. */
const MOST_INDEXES = 64

/** Read in one go: a few milliseconds. */
const CODES_AT_ONCE = 2000

type Database = DatabaseSync

/** `read` resolves when all of the file's codes are in it. */
type OwnIndex = { readonly index: CodeIndex; readonly read: Promise<void> }

/** Opens or makes the file; one that is damaged is moved aside. Throws `invalid_config` when it can't be used. */
export function openMemory(path: string, options: FileOptions = {}): NoteStore {
  const database = openFile(path, SCHEMA, options)
  return new SqliteNotes(database)
}

class SqliteNotes implements NoteStore {
  readonly #database: Database
  /** By user and model, the one used last at the end. */
  readonly #indexes = new Map<string, OwnIndex>()
  #version = 0

  constructor(database: Database) {
    this.#database = database
  }

  async put(notes: readonly EmbeddedNote[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const put = this.#database.prepare(PUT)
    this.#all(() => {
      for (const note of notes) put.run(...columnsOf(note))
      for (const user of new Set(notes.map((note) => note.user))) this.#trim(user)
    })
    for (const note of notes) this.#indexed(note)
  }

  async nearest({ user, embedding, vector, limit }: NearestQuery, signal: AbortSignal): Promise<readonly Found[]> {
    signal.throwIfAborted()
    const index = await this.#index(user, embedding, vector.length)
    signal.throwIfAborted()
    const keys = index.nearest(codeOf(vector), Math.max(LEAST_CODES, limit * CODES_PER_RESULT))
    const vectors = this.#database.prepare(
      'SELECT key, vector FROM notes WHERE key IN (SELECT value FROM json_each(?))',
    )
    const scored = vectors
      .all(JSON.stringify(keys))
      .map((row) => ({ key: Number(row['key']), similarity: dot(vector, vectorFrom(row['vector'])) }))
    const best = scored.toSorted((a, b) => b.similarity - a.similarity).slice(0, limit)
    const notes = this.#database.prepare('SELECT * FROM notes WHERE key = ? AND user = ? AND superseded_by IS NULL')
    return best.flatMap(({ key, similarity }) => {
      const row = notes.get(key, user)
      const note = row && noteFrom(NoteRow.parse(row))
      // The query asked for this user only; a row of another's is never given back, whatever the query says.
      return note && note.user === user ? [{ note: withoutVector(note), similarity }] : []
    })
  }

  async get(user: string, ids: readonly string[], signal: AbortSignal): Promise<readonly EmbeddedNote[]> {
    signal.throwIfAborted()
    const select = 'SELECT * FROM notes WHERE user = ? AND id IN (SELECT value FROM json_each(?))'
    const rows = this.#database.prepare(select).all(user, JSON.stringify(ids))
    return rows.map((row) => noteFrom(NoteRow.parse(row))).filter((note) => note.user === user)
  }

  async list({ user, limit, after, text, session, topic }: ListQuery, signal: AbortSignal): Promise<NotePage> {
    signal.throwIfAborted()
    const [saidAt, key] = after === undefined ? [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] : pageMark(after)
    const rows = this.#database
      .prepare(
        `SELECT * FROM notes WHERE user = :user AND (said_at, key) < (:saidAt, :key)
          AND (:session IS NULL OR session = :session) AND (:topic IS NULL OR topic = :topic)
          AND (:text IS NULL OR instr(folded, :text) > 0)
        ORDER BY said_at DESC, key DESC LIMIT :limit`,
      )
      .all({
        user,
        saidAt,
        key,
        limit: limit + 1,
        session: session ?? null,
        topic: topic ?? null,
        text: text?.toLowerCase() ?? null,
      })
      .map((row) => NoteRow.parse(row))
    const last = rows.length > limit ? rows[limit - 1] : undefined
    const next = last ? `${last.said_at}.${last.key}` : null
    return { notes: rows.slice(0, limit).map((row) => withoutVector(noteFrom(row))), next }
  }

  async delete(user: string, ids: readonly string[], signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const remove = 'DELETE FROM notes WHERE user = ? AND id IN (SELECT value FROM json_each(?)) RETURNING key'
    const rows = this.#all(() => this.#database.prepare(remove).all(user, JSON.stringify(ids)))
    for (const [name, { index }] of this.#indexes)
      if (name.startsWith(`${user}\0`)) for (const row of rows) index.delete(Number(row['key']))
    return rows.length
  }

  async deleteAll(user: string, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const { changes } = this.#all(() => this.#database.prepare('DELETE FROM notes WHERE user = ?').run(user))
    this.#forget(user)
    return Number(changes)
  }

  async outdated(embedding: EmbeddingModel, limit: number, signal: AbortSignal): Promise<readonly Note[]> {
    signal.throwIfAborted()
    const rows = this.#database
      .prepare('SELECT * FROM notes WHERE model_key <> ? LIMIT ?')
      .all(modelKey(embedding), limit)
    return rows.map((row) => withoutVector(noteFrom(NoteRow.parse(row))))
  }

  close(): void {
    this.#database.close()
  }

  /** All of `work`'s changes, or none. */
  #all<T>(work: () => T): T {
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      const result = work()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw asAppError(error)
    }
  }

  #trim(user: string): void {
    const trim = this.#database.prepare(
      `DELETE FROM notes WHERE key IN (SELECT key FROM notes WHERE user = ? ORDER BY said_at DESC, key DESC LIMIT -1 OFFSET ${MOST_NOTES})`,
    )
    if (trim.run(user).changes > 0) this.#forget(user)
  }

  /** The codes of a user and model, read from the file unless they are in memory already. */
  async #index(user: string, embedding: EmbeddingModel, size: number): Promise<CodeIndex> {
    this.#dropOutdatedIndexes()
    const key = modelKey(embedding)
    const name = `${user}\0${key}`
    const known = this.#indexes.get(name) ?? this.#begunIndex(name, user, key, size)
    this.#indexes.delete(name)
    this.#indexes.set(name, known)
    const [oldest] = this.#indexes.keys()
    if (this.#indexes.size > MOST_INDEXES && oldest !== undefined) this.#indexes.delete(oldest)
    await known.read
    return known.index
  }

  #begunIndex(name: string, user: string, key: string, size: number): OwnIndex {
    const index = new CodeIndex(Math.ceil(size / 32))
    const read = this.#read(index, user, key)
    read.catch(() => this.#indexes.delete(name))
    return { index, read }
  }

  /** Some thousands at a time, and others have their turn between; what is put meanwhile is in the index already. */
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
  #dropOutdatedIndexes(): void {
    const version = Number(this.#database.prepare('PRAGMA data_version').get()?.['data_version'])
    if (version !== this.#version) this.#indexes.clear()
    this.#version = version
  }

  /** What was put, into the index where it is in memory. */
  #indexed(note: EmbeddedNote): void {
    const row = this.#database.prepare('SELECT key FROM notes WHERE user = ? AND id = ?').get(note.user, note.id)
    const key = Number(row?.['key'])
    const own = `${note.user}\0${modelKey(note.embedding)}`
    for (const [name, { index }] of this.#indexes) {
      if (!name.startsWith(`${note.user}\0`)) continue
      if (name === own && note.supersededBy === null) index.set(key, codeOf(note.vector))
      else index.delete(key)
    }
  }

  #forget(user: string): void {
    for (const name of this.#indexes.keys()) if (name.startsWith(`${user}\0`)) this.#indexes.delete(name)
  }
}

/** SQLite's bytes need not lie on a multiple of four. */
function wordsFrom(bytes: Uint8Array): Uint32Array {
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes)
  return new Uint32Array(buffer, byteOffset, byteLength / 4)
}

function pageMark(after: string): [saidAt: number, key: number] {
  const [, saidAt, key] = /^(\d{1,15})\.(\d{1,15})$/.exec(after) ?? []
  if (saidAt === undefined)
    throw new AppError('invalid_request', 'after: expected what the page before gave as next', { param: 'after' })
  return [Number(saidAt), Number(key)]
}

const SQLITE_FULL = 13

/** What SQLite says never quotes a row. */
function asAppError(error: unknown): unknown {
  const code = error instanceof Error ? Reflect.get(error, 'errcode') : undefined
  if (code !== SQLITE_FULL) return error
  return new AppError('storage_full', 'memory: the disk is full', { cause: error, details: { stage: 'memory' } })
}
