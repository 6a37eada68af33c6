import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '@hearth/shared/http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { addMemoryRoutes } from './memory-routes.ts'
import { createMemoryBook } from './stages/memory-book.ts'
import { keepFacts } from './stages/memory-keep.ts'
import type { Note, NoteStore } from './stages/memory-note.ts'
import { openMemory } from './stages/memory-sqlite.ts'

/** Words that begin alike are near each other. */
const embedder = {
  embed: async (texts: readonly string[]) => ({ vectors: texts.map(vectorOf), model: 'm', revision: '1' }),
}
function vectorOf(text: string): Float32Array {
  const vector = new Float32Array(64)
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
    const at = (word.charCodeAt(0) + word.length * 7) % 64
    vector[at] = (vector[at] ?? 0) + 1
  }
  const length = Math.hypot(...vector) || 1
  return vector.map((value) => value / length)
}

let folder = ''
let store: NoteStore
let app: ReturnType<typeof setUp>
const live = new AbortController().signal
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-memory-'))
  store = openMemory(join(folder, 'memory.sqlite'))
  app = setUp()
})
afterEach(() => {
  store.close()
  rmSync(folder, { recursive: true })
})

function setUp() {
  const log = createLogger({ service: 'test', level: 'silent' })
  const metrics = createMetrics('test')
  const made = createApp({ service: 'test', models: () => [], log, metrics, maxBodyBytes: 1_000_000 })
  addMemoryRoutes(made, { memory: createMemoryBook({ store, embedder, now: () => 5000 }), log })
  return made
}
let saidAt = 0
const say = (text: string, user = 'anna', session = 's1') =>
  keepFacts([{ text, user, session, turn: 't1', kind: 'statement', saidAt: ++saidAt }], { store, embedder }, live)

type Body = { memories: (Note & { score: number })[]; next: string | null; error: { code: string; message: string } }
async function ask(method: string, path: string, body?: object | string) {
  const json = typeof body === 'object' && {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
  const lines = typeof body === 'string' && { headers: { 'content-type': 'application/x-ndjson' }, body }
  const response = await app.request(path, { method, ...json, ...lines })
  const text = await response.text()
  return { status: response.status, text, body: bodyOf(text) }
}
const bodyOf = (text: string) => (/^\{.*\}$/.test(text) ? JSON.parse(text) : {}) as Body & Note
const textsOf = async (query: string) => (await ask('GET', `/memories?${query}`)).body.memories.map(({ text }) => text)

describe('a list of memories', () => {
  test('is of one user, in pages that have each once', async () => {
    for (let n = 0; n < 5; n++) await say(`I have ${n} cats.`)
    await say('I am Bob, and that is secret.', 'bob')
    const first = await ask('GET', '/memories?user=anna&limit=2')
    expect(first.body.memories).toMatchObject([
      { text: 'I have 4 cats.', user: 'anna', session: 's1', turn: 't1', kind: 'statement' },
      { text: 'I have 3 cats.' },
    ])
    const second = await ask('GET', `/memories?user=anna&limit=3&after=${first.body.next}`)
    expect(second.body.memories.map(({ text }) => text)).toEqual(['I have 2 cats.', 'I have 1 cats.', 'I have 0 cats.'])
    expect(second.body.next).toBeNull()
    expect([await textsOf(''), await textsOf('user=eve')]).toEqual([[], []])
  })

  test('can be of a session, or of what holds a text', async () => {
    await say('I like green tea.', 'anna', 's1')
    await say('I like cake.', 'anna', 's2')
    expect(await textsOf('user=anna&session=s2')).toEqual(['I like cake.'])
    expect(await textsOf('user=anna&text=GREEN')).toEqual(['I like green tea.'])
  })

  test.each(['limit=0', 'limit=201', 'limit=x', 'after=x', 'user=a%20b', 'colour=red', 'text='])(
    '%s is refused',
    async (query) => {
      expect((await ask('GET', `/memories?${query}`)).status).toBe(400)
    },
  )
})

test('a search is by meaning, with scores, among the user’s own', async () => {
  await say('My dog is called Rex.')
  await say('I like cake.')
  await say('My dog is called Bello.', 'bob')
  const { body } = await ask('GET', '/memories/search?user=anna&q=my%20dog%20is%20called%20what&limit=1')
  expect(body.memories).toMatchObject([
    { text: 'My dog is called Rex.', score: expect.any(Number), similarity: expect.any(Number) },
  ])
  expect((await ask('GET', '/memories/search?user=anna')).status).toBe(400)
})

describe('one memory', () => {
  test('is read, changed and forgotten by its id', async () => {
    await say('My dog is called Rex.')
    const [note] = (await ask('GET', '/memories?user=anna')).body.memories
    const path = `/memories/${note?.id}?user=anna`
    expect((await ask('GET', path)).body).toEqual(note)
    const changed = await ask('PATCH', path, { text: 'My cat is called Mia.', importance: 0.2 })
    const after = { id: note?.id, text: 'My cat is called Mia.', topic: 'called:cat', importance: 0.2, kind: 'note' }
    expect([changed.status, changed.body]).toMatchObject([200, after])
    expect((await ask('GET', path)).body).toMatchObject(after)
    expect((await ask('GET', '/memories/search?user=anna&q=my%20cat&limit=1')).body.memories[0]?.text).toContain('Mia')
    expect((await ask('DELETE', path)).status).toBe(204)
    expect((await ask('GET', path)).body.error.code).toBe('memory_not_found')
    expect((await ask('GET', '/memories/search?user=anna&q=my%20cat')).body.memories).toEqual([])
  })

  test('of another user is not there, whatever is asked of it', async () => {
    await say('My secret is 1234.', 'bob')
    const [note] = (await ask('GET', '/memories?user=bob')).body.memories
    for (const [method, body] of [['GET'], ['DELETE'], ['PATCH', { text: 'mine' }]] as const)
      expect(await ask(method, `/memories/${note?.id}?user=anna`, body)).toMatchObject({
        status: 404,
        body: { error: { code: 'memory_not_found' } },
      })
    expect(await textsOf('user=bob')).toEqual(['My secret is 1234.'])
  })

  test.each([{}, { text: '' }, { text: '\u0000 ' }, { importance: 2 }, { importance: null }, { user: 'bob' }])(
    'is not changed by %j',
    async (change) => {
      await say('I like tea.')
      const [note] = (await ask('GET', '/memories?user=anna')).body.memories
      expect((await ask('PATCH', `/memories/${note?.id}?user=anna`, change)).status).toBe(400)
      expect(await textsOf('user=anna')).toEqual(['I like tea.'])
    },
  )
})

test('all of a user is forgotten at once, and nothing of others', async () => {
  for (const user of ['anna', 'anna', 'bob']) await say(`I am ${user} number ${saidAt}`, user)
  expect((await ask('DELETE', '/memories?user=anna')).body).toEqual({ forgotten: 2 })
  expect([await textsOf('user=anna'), (await textsOf('user=bob')).length]).toEqual([[], 1])
})

describe('taken out and brought in', () => {
  test('memories are the same again, also for another user', async () => {
    for (let n = 0; n < 3; n++) await say(`My ${'dog cat fish'.split(' ')[n]} is called Rex.`)
    await say('My dog is called "Bello\\".')
    const before = (await ask('GET', '/memories?user=anna')).body.memories
    const { text } = await ask('GET', '/memories/export?user=anna')
    expect(text.trim().split('\n')).toHaveLength(4)
    expect(text).not.toContain('"user"')
    await ask('DELETE', '/memories?user=anna')
    for (const user of ['anna', 'carl', 'anna'])
      expect((await ask('POST', `/memories/import?user=${user}`, text)).body).toEqual({ imported: 4 })
    expect((await ask('GET', '/memories?user=anna')).body.memories).toEqual(before)
    expect((await ask('GET', '/memories?user=carl')).body.memories.map((note) => note.text)).toEqual(
      before.map((note) => note.text),
    )
  })

  test('a line needs a text only', async () => {
    await ask(
      'POST',
      '/memories/import?user=anna',
      '{"text": "I like tea."}\n\n{"text": "My name is Anna.", "saidAt": 9}\n',
    )
    expect((await ask('GET', '/memories?user=anna')).body.memories).toMatchObject([
      { text: 'I like tea.', kind: 'note', saidAt: 5000, keywords: ['tea'] },
      { text: 'My name is Anna.', topic: 'name', saidAt: 9, importance: 0.9 },
    ])
  })

  test.each([
    ['{"text": "a"}\n{"text": ', 'line 2'],
    ['{"text": ""}', 'line 1'],
    ['{"text": 5}', 'line 1'],
    ['{"text": "a", "colour": "red"}', 'line 1'],
    ['{"text": "a", "importance": 7}', 'line 1'],
    ['{"text": "\\ud800"}', 'line 1'],
    ['[]', 'line 1'],
  ])('of %j nothing is brought in', async (lines, says) => {
    const { status, body } = await ask('POST', '/memories/import?user=anna', lines)
    expect([status, body.error.message]).toEqual([400, expect.stringContaining(says)])
    expect(await textsOf('user=anna')).toEqual([])
  })
})
