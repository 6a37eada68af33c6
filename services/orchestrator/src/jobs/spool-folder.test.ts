import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFileSpool } from './spool-folder.ts'

const soon = () => AbortSignal.timeout(10_000)
let home = ''

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hearth-spool-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

test('nobody else on the machine can read it, and its folder is made as it is needed', async () => {
  const folder = join(home, 'new', 'spool')
  const ref = await createFileSpool({ folder, maxBytes: 100, maxAgeMs: 1 }).put(new Uint8Array(10), soon())
  expect((await stat(join(folder, ref))).mode & 0o777).toBe(0o600)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
})

test('files of others are neither counted nor swept', async () => {
  await writeFile(join(home, 'notes.txt'), 'mine')
  await utimes(join(home, 'notes.txt'), new Date(0), new Date(0))
  const spool = createFileSpool({ folder: home, maxBytes: 3, maxAgeMs: 1000 })
  const ref = await spool.put(new Uint8Array(3), soon())
  expect(await spool.sweep(soon())).toBe(0)
  expect((await readdir(home)).toSorted()).toEqual([ref, 'notes.txt'].toSorted())
})
