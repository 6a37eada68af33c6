/** What every store of notes must do; each store's test runs all of it. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { EmbeddedNote, EmbeddingModel, Note, NoteStore } from '../stages/memory-note.ts'

export const MODEL: EmbeddingModel = { model: 'm', revision: '1' }
export const EAST = Float32Array.of(1, 0, 0)
export const NORTH = Float32Array.of(0, 1, 0)
const NORTH_EAST = Float32Array.of(0.6, 0.8, 0)

let lastTime = 1_700_000_000_000

export function noteOf(text: string, change: Partial<EmbeddedNote> = {}): EmbeddedNote {
  lastTime += 1000
  return {
    id: `id-${text}`,
    user: 'anna',
    session: 's1',
    turn: null,
    kind: 'statement',
    text,
    topic: null,
    createdAt: lastTime,
    saidAt: lastTime,
    importance: 0.5,
    keywords: ['tea', 'grün'],
    links: [],
    supersededBy: null,
    embedding: MODEL,
    vector: EAST,
    ...change,
  }
}

const live = (): AbortSignal => new AbortController().signal

/** `open` gives the same notes each time; `clear` takes them all away. */
export function noteStoreSuite({ open, clear }: { open: () => NoteStore; clear: () => Promise<void> | void }): void {
  let store: NoteStore
  beforeEach(async () => {
    await clear()
    store = open()
  })
  afterEach(() => store.close())
  const texts = (notes: readonly Note[]) => notes.map(({ text }) => text)
  const nearest = async (change: object = {}) => {
    const query = { user: 'anna', embedding: MODEL, vector: EAST, limit: 5, ...change }
    return store.nearest(query, live())
  }
  const nearestTexts = async (change: object = {}) => texts((await nearest(change)).map(({ note }) => note))
  const all = async (user = 'anna') => (await store.list({ user, limit: 100 }, live())).notes

  test('a note comes back as it was put', async () => {
    const note = noteOf('Tea, "grün" ☕', { turn: 't1', topic: 'drink', links: ['x'], importance: 0.75 })
    await store.put([note], live())
    const [found] = await nearest()
    expect(await store.get('anna', [note.id, 'none'], live())).toEqual([note])
    const { vector: _, embedding: __, ...plain } = note
    expect(await all()).toEqual([plain])
    expect(found?.note).toEqual(plain)
    expect(found?.similarity).toBeCloseTo(1, 5)
  })

  test('the nearest come first, at most as many as wanted', async () => {
    await store.put(
      [noteOf('north', { vector: NORTH }), noteOf('between', { vector: NORTH_EAST }), noteOf('east')],
      live(),
    )
    expect((await nearest()).map(({ note, similarity }) => [note.text, Math.round(similarity * 10)])).toEqual([
      ['east', 10],
      ['between', 6],
      ['north', 0],
    ])
    expect(await nearestTexts({ limit: 2 })).toEqual(['east', 'between'])
    expect(await nearestTexts({ vector: NORTH, limit: 1 })).toEqual(['north'])
  })

  test('nobody finds, reads, lists or deletes what is another’s, even with its id and the same vector', async () => {
    const secret = noteOf('secret', { user: 'bob' })
    await store.put([secret, noteOf('own')], live())
    expect(await nearestTexts()).toEqual(['own'])
    expect(await store.get('anna', [secret.id], live())).toEqual([])
    expect(texts(await all())).toEqual(['own'])
    expect((await store.list({ user: 'anna', limit: 9, text: 'secret' }, live())).notes).toEqual([])
    expect(await store.delete('anna', [secret.id], live())).toBe(0)
    expect(await store.deleteAll('anna', live())).toBe(1)
    expect(texts(await all('bob'))).toEqual(['secret'])
    for (const user of ['eve', 'ann', 'ANNA', "anna' OR '1'='1", '%']) {
      expect(await nearestTexts({ user })).toEqual([])
      expect(await all(user)).toEqual([])
    }
  })

  test('two users may have the same id', async () => {
    await store.put([noteOf('a', { id: 'same' }), noteOf('b', { id: 'same', user: 'bob' })], live())
    expect([texts(await all()), texts(await all('bob'))]).toEqual([['a'], ['b']])
  })

  test('a note of the same id is replaced, also where something is gone', async () => {
    const note = noteOf('old', { topic: 'name', turn: 't1', supersededBy: 'x' })
    await store.put([note], live())
    await store.put([{ ...note, text: 'new', topic: null, turn: null, supersededBy: null, vector: NORTH }], live())
    expect(await all()).toMatchObject([{ text: 'new', topic: null, turn: null, supersededBy: null }])
    expect(await nearestTexts({ vector: NORTH })).toEqual(['new'])
    expect((await store.list({ user: 'anna', limit: 9, text: 'old' }, live())).notes).toEqual([])
  })

  test('what is superseded is listed, but never found', async () => {
    const [old, now] = [noteOf('My name is Sam.'), noteOf('My name is Alex.')]
    await store.put([old, now], live())
    await store.put([{ ...old, supersededBy: now.id }], live())
    expect(await nearestTexts()).toEqual(['My name is Alex.'])
    expect(texts(await all()).toSorted()).toEqual(['My name is Alex.', 'My name is Sam.'])
  })

  test('what is deleted is gone at once', async () => {
    const notes = [noteOf('a'), noteOf('b'), noteOf('c')]
    await store.put(notes, live())
    expect(await store.delete('anna', ['id-a', 'id-a', 'none'], live())).toBe(1)
    expect((await nearestTexts()).toSorted()).toEqual(['b', 'c'])
    expect(await store.deleteAll('anna', live())).toBe(2)
    expect([await nearestTexts(), await all(), await store.deleteAll('anna', live())]).toEqual([[], [], 0])
    await store.put(notes, live())
    expect(await nearestTexts()).toHaveLength(3)
  })

  test('pages together have every note once', async () => {
    await store.put(
      Array.from({ length: 7 }, (_, n) => noteOf(`note ${n}`)),
      live(),
    )
    const seen: string[] = []
    let after: string | undefined
    do {
      const page = await store.list({ user: 'anna', limit: 3, after }, live())
      seen.push(...texts(page.notes))
      after = page.next ?? undefined
    } while (after !== undefined)
    expect(seen.toSorted()).toEqual(Array.from({ length: 7 }, (_, n) => `note ${n}`))
    await expect(async () => store.list({ user: 'anna', limit: 3, after: 'x; DROP' }, live())).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  test('a list is of a session, of a topic, or of what holds a text, whatever its case', async () => {
    const [a, b, c] = [noteOf('Grüner Tee'), noteOf('100% tea_x', { session: 's2' }), noteOf('c', { topic: 'name' })]
    await store.put([a, b, c], live())
    const list = async (change: object) =>
      texts((await store.list({ user: 'anna', limit: 9, ...change }, live())).notes)
    expect(await list({ session: 's2' })).toEqual(['100% tea_x'])
    expect(await list({ topic: 'name' })).toEqual(['c'])
    expect(await list({ text: 'GRÜN' })).toEqual(['Grüner Tee'])
    expect([await list({ text: '%' }), await list({ text: 'a_x' }), await list({ text: 'aqx' })]).toEqual([
      ['100% tea_x'],
      ['100% tea_x'],
      [],
    ])
    expect(await list({ session: 's1', topic: 'name' })).toEqual(['c'])
  })

  test('vectors of another model or revision are never compared, but told, until they are put anew', async () => {
    const [a, b] = [noteOf('a'), noteOf('b', { user: 'bob' })]
    await store.put([a, b], live())
    const newer = { model: 'm', revision: '2' }
    expect(await nearestTexts({ embedding: newer })).toEqual([])
    expect(await store.outdated(MODEL, 10, live())).toEqual([])
    const old = await store.outdated(newer, 10, live())
    expect(texts(old).toSorted()).toEqual(['a', 'b'])
    expect(await store.outdated(newer, 1, live())).toHaveLength(1)
    // Of another size, as those of another model may be.
    await store.put([{ ...a, embedding: newer, vector: Float32Array.of(1, 0) }], live())
    expect(await nearestTexts({ embedding: newer, vector: Float32Array.of(1, 0) })).toEqual(['a'])
    expect(await nearestTexts()).toEqual([])
    expect(texts(await store.outdated(newer, 10, live()))).toEqual(['b'])
    expect(texts(await all())).toEqual(['a'])
    const later = { model: 'm', revision: null }
    await store.put(
      [
        { ...a, embedding: later },
        { ...b, embedding: later },
      ],
      live(),
    )
    expect(await store.outdated(later, 10, live())).toEqual([])
  })

  test('everything is there after closing and opening', async () => {
    await store.put([noteOf('kept')], live())
    store.close()
    store = open()
    expect(await nearestTexts()).toEqual(['kept'])
  })

  test('an abort ends every call', async () => {
    const left = AbortSignal.abort(new Error('left'))
    const query = { user: 'anna', embedding: MODEL, vector: EAST, limit: 5 }
    await store.put([noteOf('a')], live())
    await expect(async () => store.put([noteOf('b')], left)).rejects.toThrow('left')
    await expect(async () => store.nearest(query, left)).rejects.toThrow('left')
    await expect(async () => store.get('anna', ['id-a'], left)).rejects.toThrow('left')
    await expect(async () => store.list({ user: 'anna', limit: 5 }, left)).rejects.toThrow('left')
    await expect(async () => store.deleteAll('anna', left)).rejects.toThrow('left')
    expect(await nearestTexts()).toEqual(['a'])
  })
}
