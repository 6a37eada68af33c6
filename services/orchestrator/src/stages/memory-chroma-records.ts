/** A note as a record of Chroma, and back. Chroma's metadata are flat: lists are JSON, and what is null is left out. */
import * as z from 'zod'
import type { ChromaRecord, NewRecord } from './chroma.ts'
import type { EmbeddedNote, Note } from './memory-note.ts'

const words = z.string().transform((text) => z.array(z.string()).parse(JSON.parse(text)))
const optional = z
  .string()
  .nullish()
  .transform((value) => value ?? null)

const Fields = z.object({
  user: z.string(),
  session: z.string(),
  turn: optional,
  kind: z.enum(['statement', 'note']),
  text: z.string(),
  topic: optional,
  created_at: z.number(),
  said_at: z.number(),
  importance: z.number(),
  keywords: words,
  links: words,
  superseded_by: optional,
  model: z.string(),
  revision: optional,
})

/** The document is the text in small letters, because Chroma searches it letter by letter. */
export function recordOf(note: EmbeddedNote): NewRecord {
  const { id, vector, text, embedding } = note
  const metadata = {
    user: note.user,
    session: note.session,
    kind: note.kind,
    text,
    created_at: note.createdAt,
    said_at: note.saidAt,
    importance: note.importance,
    keywords: JSON.stringify(note.keywords),
    links: JSON.stringify(note.links),
    model: embedding.model,
    // An upsert leaves fields that it does not name: null takes one away.
    turn: note.turn,
    topic: note.topic,
    superseded_by: note.supersededBy,
    revision: embedding.revision,
  }
  return { id, vector, document: text.toLowerCase(), metadata }
}

/** Throws when the record is none of memory's. */
export function noteFrom({ id, metadata, vector }: ChromaRecord): EmbeddedNote {
  const { model, revision } = Fields.parse(metadata)
  return { ...plainNoteFrom({ id, metadata }), embedding: { model, revision }, vector }
}

/** The same without its vector. */
export function plainNoteFrom({ id, metadata }: Pick<ChromaRecord, 'id' | 'metadata'>): Note {
  const fields = Fields.parse(metadata)
  return {
    id,
    user: fields.user,
    session: fields.session,
    turn: fields.turn,
    kind: fields.kind,
    text: fields.text,
    topic: fields.topic,
    createdAt: fields.created_at,
    saidAt: fields.said_at,
    importance: fields.importance,
    keywords: fields.keywords,
    links: fields.links,
    supersededBy: fields.superseded_by,
  }
}
