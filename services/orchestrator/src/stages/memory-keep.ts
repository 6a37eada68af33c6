/**
 * How what was said becomes notes: said again it is the same note, only newer; said otherwise it takes the place of what was said before; and
 * each note is linked with those it has to do with, which learn of it too (after A-MEM's linked notes, arXiv 2502.12110).
 */
import type { Embedder } from './embeddings.ts'
import type { NoteAddress } from './memory-enrich.ts'
import { importanceOf, keywordsOf } from './memory-keywords.ts'
import { noteId, plainText, sameness } from './memory-note.ts'
import type { EmbeddedNote, EmbeddingModel, Found, Note, NoteStore } from './memory-note.ts'
import { topicOf } from './statements.ts'

/** Something to keep, before it is a note. */
export type Fact = {
  readonly text: string
  readonly user: string
  readonly session: string
  readonly turn: string | null
  readonly kind: EmbeddedNote['kind']
  readonly saidAt: number
}

/** The model that was asked, and the notes that hold the facts now. */
export type Kept = { readonly embedding: EmbeddingModel; readonly notes: readonly NoteAddress[] }

export type KeepParts = { readonly store: NoteStore; readonly embedder: Embedder }

/** Near enough to be the same in other words, if the telling words are the same. */
const TWIN = 0.95
/** Near enough to have to do with each other. */
const RELATED = 0.5
const NEIGHBOURS = 8
const MOST_LINKS = 4
/** Of what comes later; the oldest links go. */
const MOST_LINKS_BACK = 8
/** Statements of one topic that a new one replaces. */
const MOST_OF_TOPIC = 20

/** Keeps the facts in their order. Kept twice, they are there once. Throws what the embedder and the store throw. */
export async function keepFacts(
  facts: readonly Fact[],
  { store, embedder }: KeepParts,
  signal: AbortSignal,
): Promise<Kept | null> {
  const plain = facts.map((fact) => ({ ...fact, text: plainText(fact.text) })).filter(({ text }) => text !== '')
  if (plain.length === 0) return null
  const {
    vectors,
    model,
    revision = null,
  } = await embedder.embed(
    plain.map(({ text }) => text),
    signal,
  )
  const embedding = { model, revision }
  const notes: Kept['notes'][number][] = []
  for (const [at, fact] of plain.entries()) {
    const vector = vectors[at]
    if (vector) notes.push({ user: fact.user, id: await keepOne(fact, { embedding, vector }, store, signal) })
  }
  return { embedding, notes }
}

async function keepOne(
  fact: Fact,
  made: Pick<EmbeddedNote, 'embedding' | 'vector'>,
  store: NoteStore,
  signal: AbortSignal,
): Promise<string> {
  const near = await store.nearest({ user: fact.user, ...made, limit: NEIGHBOURS }, signal)
  const before = await sameBefore(fact, near, store, signal)
  const rivals = await sameTopic(fact, store, signal)
  const later = rivals.find(({ saidAt }) => saidAt > fact.saidAt)
  const note: EmbeddedNote = {
    ...merged(fact, before ?? (await newId(fact, store, signal))),
    ...made,
    supersededBy: later?.id ?? null,
  }
  const outdated = rivals.filter(({ id, saidAt }) => id !== note.id && saidAt <= note.saidAt)
  const goneIds = new Set([note.id, ...outdated.map(({ id }) => id)])
  const related = near.filter(({ note: other, similarity }) => similarity >= RELATED && !goneIds.has(other.id))
  const linkIds = related.slice(0, MOST_LINKS).map(({ note: other }) => other.id)
  const links = await store.get(fact.user, linkIds, signal)
  await store.put(
    [
      { ...note, links: [...new Set([...linkIds, ...note.links])].slice(0, MOST_LINKS_BACK) },
      ...outdated.filter(({ supersededBy }) => supersededBy === null).map((old) => ({ ...old, supersededBy: note.id })),
      ...links.filter((other) => !other.links.includes(note.id)).map((other) => linkedBack(other, note.id)),
    ],
    signal,
  )
  return note.id
}

const linkedBack = (other: EmbeddedNote, id: string): EmbeddedNote => ({
  ...other,
  links: [...other.links, id].slice(-MOST_LINKS_BACK),
})

/** The note of the same words, or one that says the same in other words. */
async function sameBefore(
  { user, text }: Fact,
  near: readonly Found[],
  store: NoteStore,
  signal: AbortSignal,
): Promise<Note | undefined> {
  const [same] = await store.get(user, [noteId(user, text)], signal)
  if (same && sameness(same.text) === sameness(text)) return same
  const words = wordsOf(text)
  return near.find(({ note, similarity }) => similarity >= TWIN && wordsOf(note.text) === words)?.note
}

/** May be there or not without a change of meaning; numbers, names and "not" may not. */
const FILLERS =
  /\b(?:a|an|the|do|really|very|just|also|please|actually|der|die|das|ein|eine|sehr|auch|le|la|les|un|une|el|los|las|una|muy)\b/giu

const wordsOf = (text: string): string =>
  sameness(
    text
      .replace(/['’]m\b/giu, ' am')
      .replace(/['’]ve\b/giu, ' have')
      .replace(FILLERS, ' '),
  )

/** A note that was changed by hand keeps its id: who says the old words again begins another one. */
async function newId({ user, text }: Fact, store: NoteStore, signal: AbortSignal): Promise<string> {
  const id = noteId(user, text)
  const [taken] = await store.get(user, [id], signal)
  return taken ? noteId(user, text, taken.text) : id
}

function merged(fact: Fact, before: Note | string): Omit<EmbeddedNote, 'embedding' | 'vector'> {
  const topic = topicOf(fact.text)
  const own = { ...fact, topic, importance: importanceOf(fact.text, topic), keywords: keywordsOf(fact.text) }
  if (typeof before === 'string') return { ...own, id: before, createdAt: fact.saidAt, links: [], supersededBy: null }
  if (before.saidAt > fact.saidAt) return { ...before, supersededBy: null }
  const importance = Math.max(own.importance, before.importance)
  const { id, createdAt, links } = before
  return { ...own, id, createdAt, links, importance, supersededBy: null }
}

/** What the user has said of the same topic, and is not superseded by something else yet. */
async function sameTopic(
  { user, text }: Fact,
  store: NoteStore,
  signal: AbortSignal,
): Promise<readonly EmbeddedNote[]> {
  const topic = topicOf(text)
  if (topic === null) return []
  const { notes } = await store.list({ user, topic, limit: MOST_OF_TOPIC }, signal)
  const current = notes.filter(({ supersededBy }) => supersededBy === null)
  return store.get(
    user,
    current.map(({ id }) => id),
    signal,
  )
}
