import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MODEL, noteOf, noteStoreSuite } from '../testing/note-store-suite.ts'
import { openMemory } from './memory-sqlite.ts'

const live = (): AbortSignal => new AbortController().signal
let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-memory-'))
  path = join(folder, 'memory.sqlite')
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('a SQLite file is a store of notes:', () => {
  noteStoreSuite({ open: () => openMemory(path), clear: () => {} })
})

const vectorOf = (n: number): Float32Array => {
  const vector = Float32Array.from({ length: 64 }, (_, at) => Math.sin(n * 12.9898 + at * 78.233))
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}
const nearest = async (store: ReturnType<typeof openMemory>, n: number) => {
  const query = { user: 'anna', embedding: MODEL, vector: vectorOf(n), limit: 1 }
  return (await store.nearest(query, live())).map(({ note }) => note.text)
}

test('among thousands each is found by its own vector, also after the index was read anew', async () => {
  const store = openMemory(path)
  const notes = Array.from({ length: 3000 }, (_, n) => noteOf(`${n}`, { vector: vectorOf(n) }))
  await store.put(notes, live())
  const other = openMemory(path)
  for (const n of [0, 17, 1500, 2999]) {
    expect(await nearest(store, n)).toEqual([`${n}`])
    expect(await nearest(other, n)).toEqual([`${n}`])
  }
  store.close()
  other.close()
})

test('what another process has changed in the file is seen', async () => {
  const [one, other] = [openMemory(path), openMemory(path)]
  await one.put([noteOf('first', { vector: vectorOf(1) })], live())
  expect(await nearest(other, 1)).toEqual(['first'])
  await one.put([noteOf('second', { vector: vectorOf(2) })], live())
  expect(await nearest(other, 2)).toEqual(['second'])
  await one.delete('anna', ['id-second'], live())
  expect(await nearest(other, 2)).toEqual(['first'])
  one.close()
  other.close()
})

test('every note that was put is there after a kill -9 in the middle of the next', async () => {
  const child = fork(join(import.meta.dirname, '../testing/memory-writer-process.ts'), [path])
  let put = 0
  child.on('message', (count) => {
    put = Number(count)
    if (put === 40) child.kill('SIGKILL')
  })
  await once(child, 'exit')
  const store = openMemory(path)
  const { notes } = await store.list({ user: 'anna', limit: 10_000 }, live())
  expect(put).toBeGreaterThanOrEqual(40)
  expect(notes.length).toBeGreaterThanOrEqual(put)
  store.close()
}, 30_000)

/** A disk of its own, with little room; null where that is not allowed. */
function smallDisk(at: string): (() => void) | null {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', at], { stdio: 'ignore' })
    return () => execFileSync('umount', [at])
  } catch {
    return null
  }
}

test('a full disk is told as such, and harms nothing that is there; with room again it goes on', async (context) => {
  const unmount = smallDisk(folder)
  context.skip(unmount === null, 'no disk can be mounted here')
  try {
    const store = openMemory(path)
    const ballast = join(folder, 'ballast')
    await store.put([noteOf('first', { vector: vectorOf(0) })], live())
    const fill = async () => {
      for (let n = 1; n < 1000; n++)
        await store.put([noteOf(`${n} ${'x'.repeat(400)}`, { vector: vectorOf(n) })], live())
    }
    writeFileSync(ballast, 'x'.repeat(100_000))
    await expect(fill()).rejects.toMatchObject({ code: 'storage_full' })
    expect(await nearest(store, 0)).toEqual(['first'])
    rmSync(ballast)
    await store.put([noteOf('later', { vector: vectorOf(2000) })], live())
    expect(await nearest(store, 2000)).toEqual(['later'])
    store.close()
  } finally {
    unmount?.()
  }
})

describe('a damaged file', () => {
  const now = () => Date.UTC(2026, 0, 2, 3, 4, 5)
  const errors: unknown[] = []
  const log = { error: (fields: unknown) => void errors.push(fields) }
  beforeEach(() => void errors.splice(0))

  test('that is no database is moved aside, told with its name, and never deleted', async () => {
    writeFileSync(path, 'x'.repeat(5000))
    const store = openMemory(path, { log, now })
    await store.put([noteOf('new')], live())
    store.close()
    const aside = `${path}.damaged-2026-01-02T03-04-05-000Z`
    expect(readFileSync(aside, 'utf8')).toBe('x'.repeat(5000))
    expect(errors).toEqual([{ file: path, aside }])
  })

  test('with bytes overwritten in the middle is moved aside too', async () => {
    const store = openMemory(path)
    await store.put(
      Array.from({ length: 300 }, (_, n) => noteOf(`${n}`, { vector: vectorOf(n) })),
      live(),
    )
    store.close()
    const bytes = readFileSync(path)
    bytes.fill(0xff, 8192, 40_000)
    writeFileSync(path, bytes)
    openMemory(path, { log, now }).close()
    expect(readdirSync(folder).some((name) => name.includes('.damaged-'))).toBe(true)
    expect(errors).toHaveLength(1)
  })

  test('in a folder that is none is an error with its name', () => {
    expect(() => openMemory(join(folder, 'none', 'memory.sqlite'))).toThrow(
      /memory\.sqlite can't be opened .*HEARTH_HOME/,
    )
  })
})
