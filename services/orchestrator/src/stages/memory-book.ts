/**
 * A person's own hands on their memory: reading, searching, changing, forgetting, taking it elsewhere. Everything is asked for one user, and
 * whatever is another's is not there.
 */
import { AppError } from '@hearth/shared/errors'
import type { RecalledMemory } from '@hearth/shared/api'
import type { Embedder } from './embeddings.ts'
import { importanceOf, keywordsOf } from './memory-keywords.ts'
import { noteId, plainText, withoutVector } from './memory-note.ts'
import type { EmbeddedNote, ListQuery, Note, NotePage, NoteStore } from './memory-note.ts'
import { ranked } from './memory-rank.ts'
import { topicOf } from './statements.ts'

export type Change = { readonly text?: string | undefined; readonly importance?: number | undefined }

/** A note as it travels: what is left out is made anew. */
export type ForeignNote = Pick<Note, 'text'> & {
  readonly [Key in keyof Omit<Note, 'text' | 'user' | 'id'>]?: Note[Key] | undefined
} & {
  readonly id?: string | undefined
}

export interface MemoryBook {
  list(query: ListQuery, signal: AbortSignal): Promise<NotePage>
  /** By meaning, the best first. */
  search(user: string, question: string, limit: number, signal: AbortSignal): Promise<readonly RecalledMemory[]>
  /** Throws `memory_not_found`, as all that take an id. */
  get(user: string, id: string, signal: AbortSignal): Promise<Note>
  change(user: string, id: string, change: Change, signal: AbortSignal): Promise<Note>
  forget(user: string, id: string, signal: AbortSignal): Promise<void>
  /** Gives how many there were. */
  forgetAll(user: string, signal: AbortSignal): Promise<number>
  /** Adds notes, or replaces those of the same id; gives how many. */
  take(user: string, notes: readonly ForeignNote[], signal: AbortSignal): Promise<number>
}

export type MemoryBookOptions = {
  readonly store: NoteStore
  readonly embedder: Embedder
  /** Resolves when what the user has just said is kept, within a limit. */
  readonly settledFor?: (user: string, limitMs: number, signal: AbortSignal) => Promise<void>
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** Embedded in one request. */
const BATCH = 64
const SETTLE_MS = 2000
const QUESTION_CHARS = 500

export function createMemoryBook(options: MemoryBookOptions): MemoryBook {
  const { store, embedder, settledFor, now = Date.now } = options
  /** What was said before the person asked is there, or gone with the rest. */
  const caughtUp = (user: string, signal: AbortSignal) => settledFor?.(user, SETTLE_MS, signal)

  async function find(user: string, id: string, signal: AbortSignal): Promise<EmbeddedNote> {
    const [note] = await store.get(user, [id], signal)
    if (!note) throw notFound()
    return note
  }

  async function put(notes: readonly Note[], signal: AbortSignal): Promise<void> {
    const {
      vectors,
      model,
      revision = null,
    } = await embedder.embed(
      notes.map(({ text }) => text),
      signal,
    )
    const embedded = notes.flatMap((note, at) => {
      const vector = vectors[at]
      return vector ? [{ ...note, vector, embedding: { model, revision } }] : []
    })
    await store.put(embedded, signal)
  }

  return {
    async list(query, signal) {
      if (query.after === undefined) await caughtUp(query.user, signal)
      return store.list(query, signal)
    },

    async search(user, question, limit, signal) {
      await caughtUp(user, signal)
      const { vectors, model, revision = null } = await embedder.embed([question.slice(0, QUESTION_CHARS)], signal)
      const [vector] = vectors
      if (!vector) return []
      const found = await store.nearest({ user, embedding: { model, revision }, vector, limit }, signal)
      return ranked(found, -1, now())
    },

    get: async (user, id, signal) => withoutVector(await find(user, id, signal)),

    async change(user, id, { text, importance }, signal) {
      const before = await find(user, id, signal)
      const plain = text === undefined ? before.text : plainText(text)
      if (plain === '') throw new AppError('empty_text', 'text: expected words', { param: 'text' })
      const note = withoutVector({
        ...before,
        importance: importance ?? before.importance,
        ...(plain !== before.text && {
          text: plain,
          topic: topicOf(plain),
          keywords: keywordsOf(plain),
          kind: 'note' as const,
        }),
      })
      if (plain === before.text) await store.put([{ ...before, ...note }], signal)
      else await put([note], signal)
      return note
    },

    async forget(user, id, signal) {
      if ((await store.delete(user, [id], signal)) === 0) throw notFound()
    },

    async forgetAll(user, signal) {
      await caughtUp(user, signal)
      return store.deleteAll(user, signal)
    },

    async take(user, notes, signal) {
      const whole = notes.map((note) => completed(note, user, now()))
      const byId = [...new Map(whole.map((note) => [note.id, note])).values()]
      for (let at = 0; at < byId.length; at += BATCH) await put(byId.slice(at, at + BATCH), signal)
      return byId.length
    },
  }
}

function completed(foreign: ForeignNote, user: string, now: number): Note {
  const text = plainText(foreign.text)
  const topic = foreign.topic ?? topicOf(text)
  const createdAt = foreign.createdAt ?? now
  return {
    id: foreign.id ?? noteId(user, text),
    user,
    session: foreign.session ?? '',
    turn: foreign.turn ?? null,
    kind: foreign.kind ?? 'note',
    text,
    topic,
    createdAt,
    saidAt: foreign.saidAt ?? createdAt,
    importance: foreign.importance ?? importanceOf(text, topic),
    keywords: foreign.keywords ?? keywordsOf(text),
    links: foreign.links ?? [],
    supersededBy: foreign.supersededBy ?? null,
  }
}

const notFound = (): AppError => new AppError('memory_not_found', 'there is no such memory')
