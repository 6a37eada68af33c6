import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openMemory } from './memory-sqlite.ts'
import type { MemoryQuery, MemoryRow, MemoryStore } from './memory.ts'

let folder = ''
let now = 0
let store: MemoryStore
const open = () => openMemory(join(folder, 'memory.sqlite'), () => ++now)

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-memory-'))
  store = open()
})
afterEach(() => {
  store.close()
  rmSync(folder, { recursive: true })
})

const EAST = Float32Array.of(1, 0)
const NORTH = Float32Array.of(0, 1)
const row = (text: string, change: Partial<MemoryRow> = {}): MemoryRow => {
  return { text, user: 'anna', session: 's1', kind: 'statement', model: 'm', vector: EAST, ...change }
}
const search = (change: Partial<MemoryQuery> = {}) =>
  store.search({ user: 'anna', model: 'm', vector: EAST, limit: 5, threshold: 0.3, ...change })

describe('a search', () => {
  test('finds what has to do with the question, whatever session it was said in, newest first', () => {
    store.add(row('My name is Anna.', { session: 's1' }))
    store.add(row('I like tea.', { vector: NORTH }))
    store.add(row('I am called Ann.', { session: 's2', vector: Float32Array.of(0.6, 0.8) }))
    expect(search()).toEqual(['I am called Ann.', 'My name is Anna.'])
    expect(search({ threshold: 0.7 })).toEqual(['My name is Anna.'])
  })

  test('never finds what another user said, even with the same vector', () => {
    store.add(row('My secret is 1234.', { user: 'bob' }))
    store.add(row('I like tea.'))
    expect(search()).toEqual(['I like tea.'])
    expect(search({ user: 'eve' })).toEqual([])
  })

  test('looks only at vectors of its own model, and of its own size', () => {
    store.add(row('I like tea.', { model: 'other' }))
    store.add(row('I like cake.', { vector: Float32Array.of(1, 0, 0) }))
    expect(search()).toEqual([])
  })

  test('gives the best five, not the newest five', () => {
    for (let n = 0; n < 9; n++) store.add(row(`Best ${n} of all.`))
    for (let n = 0; n < 9; n++) store.add(row(`Good ${n} of all.`, { vector: Float32Array.of(0.6, 0.8) }))
    expect(search()).toHaveLength(5)
    expect(search().every((text) => text.startsWith('Best'))).toBe(true)
  })

  test('survives closing and opening the file', () => {
    store.add(row('My name is Anna.'))
    store.close()
    store = open()
    expect(search()).toEqual(['My name is Anna.'])
  })
})

describe('a sentence', () => {
  test('said twice is stored once, and is then the newest', () => {
    store.add(row('My name is Anna.'))
    store.add(row('My name is Ann.'))
    store.add(row('my name is  Anna'))
    expect(search()).toEqual(['My name is Anna.', 'My name is Ann.'])
  })

  test('loses control, zero-width and bidi characters, and what is beyond 500', () => {
    store.add(row('I am\u0000 \u202eAnna\u200b\n.'))
    store.add(row(`I ${'x'.repeat(600)}`))
    const [long, plain] = search()
    expect(plain).toBe('I am Anna .')
    expect(long).toHaveLength(500)
  })

  test('a user has 2000 of them at most, the oldest go; other users lose none', () => {
    store.add(row('I am Bob.', { user: 'bob' }))
    for (let n = 0; n < 2010; n++) store.add(row(`Number ${n} is mine.`, { vector: n < 10 ? NORTH : EAST }))
    expect([search({ vector: NORTH }), search().length, search({ user: 'bob' })]).toEqual([[], 5, ['I am Bob.']])
    const database = new DatabaseSync(join(folder, 'memory.sqlite'))
    expect(database.prepare('SELECT count(*) AS rows FROM memories').get()).toEqual({ rows: 2001 })
    database.close()
  })
})

test('a file that is no database is told with its name', () => {
  const path = join(folder, 'broken.sqlite')
  writeFileSync(path, 'x'.repeat(5000))
  expect(() => openMemory(path)).toThrow(/broken\.sqlite can't be opened .*HEARTH_HOME/)
})
