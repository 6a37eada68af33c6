/**
 * Memory in one SQLite file. A search looks at every code of its user in an index in memory (memory-codes.ts), which the file also holds, and
 * compares the nearest exactly. Calls are synchronous and block the thread, so each is kept to a few milliseconds.
 */
import type { DatabaseSync } from 'node:sqlite'
import { AppError } from '@hearth/shared/errors'
import { codeOf } from './memory-codes.ts'
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
import { NoteIndexes } from './memory-sqlite-index.ts'

/** A user's notes; the oldest go. */
const MOST_NOTES = 100_000
/** Compared exactly for each one wanted: signs alone take a near one for the nearest. */
const CODES_PER_RESULT = 10
const LEAST_CODES = 200

/** Opens or makes the file; one that is damaged is moved aside. Throws `invalid_config` when it can't be used. */
export function openMemory(path: string, options: FileOptions = {}): NoteStore {
  const database = openFile(path, SCHEMA, options)
  return new SqliteNotes(database)
}

class SqliteNotes implements NoteStore {
  readonly #database: DatabaseSync
  readonly #indexes: NoteIndexes

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#indexes = new NoteIndexes(database)
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
    const index = await this.#indexes.of(user, embedding, vector.length)
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
    this.#indexes.delete(
      user,
      rows.map((row) => Number(row['key'])),
    )
    return rows.length
  }

  async deleteAll(user: string, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const { changes } = this.#all(() => this.#database.prepare('DELETE FROM notes WHERE user = ?').run(user))
    this.#indexes.forget(user)
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
    if (trim.run(user).changes > 0) this.#indexes.forget(user)
  }

  /** What was put, into the index where it is in memory. */
  #indexed(note: EmbeddedNote): void {
    const row = this.#database.prepare('SELECT key FROM notes WHERE user = ? AND id = ?').get(note.user, note.id)
    this.#indexes.put(Number(row?.['key']), note)
  }
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
