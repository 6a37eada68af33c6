/**
 * Memory in Chroma. Each user has a collection of their own for each embedding model: a search can't see anybody else's notes, nor compare
 * vectors of two models, whatever it asks for.
 */
import { AppError } from '@hearth/shared/errors'
import { Chroma, isGone } from './chroma.ts'
import type { ChromaOptions, Collection, GetQuery } from './chroma.ts'
import { isOurs, modelHash, nameOf, userPrefix } from './memory-chroma-names.ts'
import { noteFrom, plainNoteFrom, recordOf } from './memory-chroma-records.ts'
import { withoutVector } from './memory-note.ts'
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

/** A store without a connection: Chroma is asked when somebody asks for something. */
export function openChroma(options: ChromaOptions): NoteStore {
  return new ChromaNotes(new Chroma(options))
}

/** Superseded notes are found too, and left out: so some more are asked for. */
const MORE = 16
/** Of one call. */
const BATCH = 500
/** Ids of one page while all are deleted. */
const PAGE = 1000

class ChromaNotes implements NoteStore {
  readonly #chroma: Chroma
  /** By name; null until Chroma was asked, and again after it was away. */
  #known: Map<string, Collection> | null = null

  constructor(chroma: Chroma) {
    this.#chroma = chroma
  }

  async put(notes: readonly EmbeddedNote[], signal: AbortSignal): Promise<void> {
    for (const own of groups(notes)) {
      const [{ user, embedding, vector }] = own
      await this.#asking(async () => {
        const { id } = await this.#open(user, embedding, vector.length, signal)
        for (let at = 0; at < own.length; at += BATCH)
          await this.#chroma.upsert(id, own.slice(at, at + BATCH).map(recordOf), signal)
        await this.#removeElsewhere(user, embedding, own, signal)
      })
    }
  }

  nearest({ user, embedding, vector, limit }: NearestQuery, signal: AbortSignal): Promise<readonly Found[]> {
    return this.#asking(async () => {
      const collection = (await this.#collections(signal)).get(nameOf(user, embedding))
      if (!collection) return []
      const found = await this.#chroma.query(collection.id, vector, limit + MORE, signal)
      return found
        .map((record) => ({ note: plainNoteFrom(record), similarity: record.similarity }))
        .filter(({ note }) => note.user === user && note.supersededBy === null)
        .slice(0, limit)
    })
  }

  get(user: string, ids: readonly string[], signal: AbortSignal): Promise<readonly EmbeddedNote[]> {
    if (ids.length === 0) return Promise.resolve([])
    return this.#inEach(user, signal, ({ id }) => this.#notes(id, { ids }, user, signal))
  }

  /** The mark of a page is the collection's place and the place in it. */
  list({ user, limit, after, text, session, topic }: ListQuery, signal: AbortSignal): Promise<NotePage> {
    const [start, skip] = after === undefined ? [0, 0] : pageMark(after)
    const filters = [{ session }, { topic }].filter((filter) => Object.values(filter)[0] !== undefined)
    const where = filters.length > 1 ? { $and: filters } : filters[0]
    const whereDocument = text === undefined ? undefined : { $contains: text.toLowerCase() }
    return this.#asking(async () => {
      const collections = await this.#collectionsOf(user, signal)
      const notes: Note[] = []
      for (let at = start, offset = skip; at < collections.length; at++, offset = 0) {
        const query = { where, whereDocument, limit: limit - notes.length + 1, offset }
        const found = await this.#notes(collections[at]?.id ?? '', query, user, signal)
        const room = limit - notes.length
        notes.push(...found.slice(0, room).map(withoutVector))
        if (found.length > room) return { notes: notes.filter(holds(text)), next: `${at}.${offset + room}` }
      }
      return { notes: notes.filter(holds(text)), next: null }
    })
  }

  async delete(user: string, ids: readonly string[], signal: AbortSignal): Promise<number> {
    if (ids.length === 0) return 0
    const deleted = await this.#inEach(user, signal, async ({ id }) => {
      const there = await this.#chroma.get(id, { ids }, signal)
      if (there.length > 0)
        await this.#chroma.delete(
          id,
          there.map((record) => record.id),
          signal,
        )
      return there
    })
    return deleted.length
  }

  async deleteAll(user: string, signal: AbortSignal): Promise<number> {
    const counts = await this.#inEach(user, signal, async ({ id, name }) => {
      const count = await this.#chroma.count(id, signal)
      await this.#chroma.drop(name, signal)
      this.#known?.delete(name)
      return [count]
    })
    return counts.reduce((sum, count) => sum + count, 0)
  }

  outdated(embedding: EmbeddingModel, limit: number, signal: AbortSignal): Promise<readonly Note[]> {
    return this.#asking(async () => {
      const notes: Note[] = []
      for (const collection of (await this.#collections(signal)).values()) {
        if (!isOurs(collection.name) || collection.name.endsWith(modelHash(embedding))) continue
        const found = await this.#chroma.get(collection.id, { limit: limit - notes.length }, signal)
        notes.push(...found.map((record) => withoutVector(noteFrom(record))))
        if (found.length === 0) await this.#drop(collection, signal)
        if (notes.length >= limit) break
      }
      return notes
    })
  }

  close(): void {}

  /** Embedded anew, a note is no more in the collection of the model before. */
  async #removeElsewhere(
    user: string,
    embedding: EmbeddingModel,
    notes: readonly EmbeddedNote[],
    signal: AbortSignal,
  ): Promise<void> {
    const ids = notes.map(({ id }) => id)
    for (const { id, name } of await this.#collectionsOf(user, signal))
      if (name !== nameOf(user, embedding)) await this.#chroma.delete(id, ids, signal)
  }

  async #drop({ name }: Collection, signal: AbortSignal): Promise<void> {
    await this.#chroma.drop(name, signal)
    this.#known?.delete(name)
  }

  async #notes(id: string, query: GetQuery, user: string, signal: AbortSignal): Promise<EmbeddedNote[]> {
    const found = await this.#chroma.get(id, { limit: PAGE, ...query }, signal)
    return found.map(noteFrom).filter((note) => note.user === user)
  }

  #inEach<T>(user: string, signal: AbortSignal, work: (collection: Collection) => Promise<readonly T[]>): Promise<T[]> {
    return this.#asking(async () => {
      const results: T[] = []
      for (const collection of await this.#collectionsOf(user, signal)) results.push(...(await work(collection)))
      return results
    })
  }

  async #collectionsOf(user: string, signal: AbortSignal): Promise<readonly Collection[]> {
    const known = [...(await this.#collections(signal)).values()]
    return known.filter(({ name }) => name.startsWith(userPrefix(user))).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async #collections(signal: AbortSignal): Promise<Map<string, Collection>> {
    if (this.#known) return this.#known
    const found = await this.#chroma.collections(signal)
    this.#known = new Map(found.map((collection) => [collection.name, collection]))
    return this.#known
  }

  /** Throws `invalid_config` when the collection's vectors have another size: it is not one that this model filled. */
  async #open(user: string, embedding: EmbeddingModel, size: number, signal: AbortSignal): Promise<Collection> {
    const known = await this.#collections(signal)
    const name = nameOf(user, embedding)
    const { model, revision } = embedding
    const metadata = { user, model, ...(revision !== null && { revision }) }
    const collection = known.get(name) ?? (await this.#chroma.open(name, metadata, signal))
    if (typeof collection.dimension === 'number' && collection.dimension !== size) {
      const sizes = `expected vectors of ${size} numbers, got a collection of ${collection.dimension}`
      throw new AppError('invalid_config', `memory: ${sizes} (${name}): see CHROMA_URL and EMBEDDINGS_URL`)
    }
    known.set(name, collection)
    return collection
  }

  /** After a failure Chroma may be another one, with other collections: what was known is asked anew, at once if only that was wrong. */
  async #asking<T>(work: () => Promise<T>): Promise<T> {
    const wasKnown = this.#known !== null
    try {
      return await work()
    } catch (error) {
      this.#known = null
      if (wasKnown && isGone(error)) return work()
      throw error
    }
  }
}

type Group = readonly [EmbeddedNote, ...EmbeddedNote[]]

/** By user and model. */
function groups(notes: readonly EmbeddedNote[]): Iterable<Group> {
  const all = new Map<string, [EmbeddedNote, ...EmbeddedNote[]]>()
  for (const note of notes) {
    const name = nameOf(note.user, note.embedding)
    const group = all.get(name)
    if (group) group.push(note)
    else all.set(name, [note])
  }
  return all.values()
}

/** Chroma takes `%` and `_` for any letters. */
const holds =
  (text = '') =>
  (note: Note): boolean =>
    note.text.toLowerCase().includes(text.toLowerCase())

function pageMark(after: string): [collection: number, offset: number] {
  const [, collection, offset] = /^(\d{1,6})\.(\d{1,9})$/.exec(after) ?? []
  if (collection === undefined)
    throw new AppError('invalid_request', 'after: expected what the page before gave as next', { param: 'after' })
  return [Number(collection), Number(offset)]
}
