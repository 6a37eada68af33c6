/** A note as a row of SQLite, and back. */
import * as z from 'zod'
import { codeOf } from './memory-codes.ts'
import { modelKey } from './memory-note.ts'
import type { EmbeddedNote } from './memory-note.ts'

/** `folded` is the text in small letters, for searching; `code` the vector's signs, for the index. */
export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS notes (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    user TEXT NOT NULL,
    session TEXT NOT NULL,
    turn TEXT,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    folded TEXT NOT NULL,
    topic TEXT,
    created_at INTEGER NOT NULL,
    said_at INTEGER NOT NULL,
    importance REAL NOT NULL,
    keywords TEXT NOT NULL,
    links TEXT NOT NULL,
    superseded_by TEXT,
    model TEXT NOT NULL,
    revision TEXT,
    model_key TEXT NOT NULL,
    vector BLOB NOT NULL,
    code BLOB NOT NULL,
    UNIQUE (user, id)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS notes_by_age ON notes (user, said_at);
  CREATE INDEX IF NOT EXISTS notes_by_topic ON notes (user, topic) WHERE topic IS NOT NULL;
  CREATE INDEX IF NOT EXISTS notes_by_model ON notes (model_key);
  CREATE INDEX IF NOT EXISTS notes_codes ON notes (user, model_key, key, code) WHERE superseded_by IS NULL;
`

const COLUMNS = [
  'id',
  'user',
  'session',
  'turn',
  'kind',
  'text',
  'folded',
  'topic',
  'created_at',
  'said_at',
  'importance',
  'keywords',
  'links',
  'superseded_by',
  'model',
  'revision',
  'model_key',
  'vector',
  'code',
] as const

export const PUT = `
  INSERT INTO notes (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})
  ON CONFLICT (user, id) DO UPDATE SET ${COLUMNS.slice(2)
    .map((column) => `${column} = excluded.${column}`)
    .join(', ')}`

/** In the order of the columns. */
export const columnsOf = (note: EmbeddedNote): (string | number | Uint8Array | null)[] => [
  note.id,
  note.user,
  note.session,
  note.turn,
  note.kind,
  note.text,
  note.text.toLowerCase(),
  note.topic,
  note.createdAt,
  note.saidAt,
  note.importance,
  JSON.stringify(note.keywords),
  JSON.stringify(note.links),
  note.supersededBy,
  note.embedding.model,
  note.embedding.revision,
  modelKey(note.embedding),
  bytesOf(note.vector),
  bytesOf(codeOf(note.vector)),
]

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

const words = z.string().transform((text) => z.array(z.string()).parse(JSON.parse(text)))

export const NoteRow = z.object({
  key: z.number(),
  id: z.string(),
  user: z.string(),
  session: z.string(),
  turn: z.string().nullable(),
  kind: z.enum(['statement', 'note']),
  text: z.string(),
  topic: z.string().nullable(),
  created_at: z.number(),
  said_at: z.number(),
  importance: z.number(),
  keywords: words,
  links: words,
  superseded_by: z.string().nullable(),
  model: z.string(),
  revision: z.string().nullable(),
  vector: z.instanceof(Uint8Array),
})

export const noteFrom = (row: z.infer<typeof NoteRow>): EmbeddedNote => ({
  id: row.id,
  user: row.user,
  session: row.session,
  turn: row.turn,
  kind: row.kind,
  text: row.text,
  topic: row.topic,
  createdAt: row.created_at,
  saidAt: row.said_at,
  importance: row.importance,
  keywords: row.keywords,
  links: row.links,
  supersededBy: row.superseded_by,
  embedding: { model: row.model, revision: row.revision },
  vector: vectorFrom(row.vector),
})

export function vectorFrom(bytes: unknown): Float32Array {
  if (!(bytes instanceof Uint8Array)) return new Float32Array()
  const { buffer, byteOffset, byteLength } = aligned(bytes)
  return new Float32Array(buffer, byteOffset, byteLength / 4)
}

/** SQLite's bytes need not lie on a multiple of four. */
export const aligned = (bytes: Uint8Array): Uint8Array => (bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes))
