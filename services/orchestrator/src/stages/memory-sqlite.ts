/**
 * Memory in one SQLite file. The search looks at every row of its user, newest first and capped, because a few thousand dot
 * products take a millisecond. Calls are synchronous and block the thread, so each is kept that short.
 */
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '@hearth/shared/errors'
import type { MemoryQuery, MemoryRow, MemoryStore } from './memory.ts'

/** Rows that a user can have; the oldest go. Also what one search reads: 3 MB of vectors of 384 numbers. */
const ROWS_PER_USER = 2000
const BUSY_MS = 100
const TEXT_CHARS = 500

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA busy_timeout = ${BUSY_MS};
  CREATE TABLE IF NOT EXISTS memories (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    session TEXT NOT NULL,
    text TEXT NOT NULL,
    same TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    vector BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (user, model, same)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS memories_by_age ON memories (user, model, created_at);
`

const INSERT = `
  INSERT INTO memories (user, session, text, same, kind, model, vector, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (user, model, same) DO UPDATE SET created_at = excluded.created_at`
const TRIM = `
  DELETE FROM memories WHERE id IN (
    SELECT id FROM memories WHERE user = ? AND model = ? ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ${ROWS_PER_USER})`
const SELECT = `
  SELECT user, text, vector FROM memories WHERE user = ? AND model = ?
  ORDER BY created_at DESC, id DESC LIMIT ${ROWS_PER_USER}`

/** Opens or makes the file. `now` is in milliseconds since 1970. Throws `invalid_config` when it can't be used. */
export function openMemory(path: string, now: () => number = Date.now): MemoryStore {
  const database = open(path)
  const insert = database.prepare(INSERT)
  const trim = database.prepare(TRIM)
  const select = database.prepare(SELECT)
  return {
    add({ user, session, text, kind, model, vector }: MemoryRow) {
      const kept = plainText(text).slice(0, TEXT_CHARS)
      const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
      insert.run(user, session, kept, sameness(kept), kind, model, bytes, now())
      trim.run(user, model)
    },
    search: (query) => nearest(select.iterate(query.user, query.model), query),
    close: () => database.close(),
  }
}

function open(path: string): DatabaseSync {
  try {
    const database = new DatabaseSync(path)
    database.exec(SCHEMA)
    return database
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'unknown'
    throw new AppError('invalid_config', `the memory file ${path} can't be opened (${why}): see HEARTH_HOME`, { cause })
  }
}

type Row = Record<string, unknown>

/** The best `limit` rows at or above the threshold, in the order they came in: newest first. */
function nearest(rows: Iterable<Row>, { user, vector, threshold, limit }: MemoryQuery): string[] {
  const found: { text: string; score: number; age: number }[] = []
  let age = 0
  for (const { user: owner, text, vector: bytes } of rows) {
    age++
    // The query asked for this user only; a row of another's is never given back, whatever the query says.
    if (owner !== user || typeof text !== 'string' || !(bytes instanceof Uint8Array)) continue
    const score = dot(vector, floats(bytes))
    if (score >= threshold) found.push({ text, score, age })
  }
  const best = found.toSorted((a, b) => b.score - a.score).slice(0, limit)
  return best.toSorted((a, b) => a.age - b.age).map(({ text }) => text)
}

/** A copy, because SQLite's bytes need not lie on a multiple of four. */
const floats = (bytes: Uint8Array): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer)

/** -1 when the sizes differ. */
function dot(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return -1
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0)
  return sum
}

/** Without control, format (zero-width, bidi) and unassigned characters. */
const plainText = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Z}]+/gu, ' ')
    .replace(/[\p{Cf}\p{Co}\p{Cn}\p{Cs}]/gu, '')
    .trim()

/** Sentences that differ only in case, marks and spaces are the same. */
const sameness = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
