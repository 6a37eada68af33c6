import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFileSpool } from './spool.ts'

const MINUTE_MS = 60_000
const bytes = (length: number) => new Uint8Array(length).fill(7)
let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hearth-spool-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const spoolOf = (maxBytes = 100) => createFileSpool({ folder, maxBytes, maxAgeMs: 15 * MINUTE_MS })

test('gives back what was put, until it is deleted', async () => {
  const spool = spoolOf()
  const ref = await spool.put(bytes(10))
  expect(ref).toMatch(/^[\w-]{32}$/)
  expect(new Uint8Array((await (await spool.get(ref))?.arrayBuffer()) ?? new ArrayBuffer())).toEqual(bytes(10))
  await spool.delete(ref)
  await spool.delete(ref)
  expect(await spool.get(ref)).toBeNull()
  expect(await readdir(folder)).toEqual([])
})

test('nobody else on the machine can read it', async () => {
  const ref = await spoolOf().put(bytes(10))
  expect((await stat(join(folder, ref))).mode & 0o777).toBe(0o600)
})

test('refuses more than it may hold, and counts what another process deleted', async () => {
  const spool = spoolOf()
  const ref = await spool.put(bytes(60))
  await expect(spool.put(bytes(41))).rejects.toMatchObject({ code: 'overloaded', status: 429 })
  expect(await readdir(folder)).toEqual([ref])
  await spoolOf().delete(ref)
  await expect(spool.put(bytes(100))).resolves.toMatch(/./)
})

test('sweeps what is too old, and only files of its own', async () => {
  const spool = spoolOf()
  const [old, young] = [await spool.put(bytes(1)), await spool.put(bytes(1))]
  const past = new Date(Date.now() - 16 * MINUTE_MS)
  await utimes(join(folder, old), past, past)
  await writeFile(join(folder, 'notes.txt'), 'mine')
  await utimes(join(folder, 'notes.txt'), past, past)
  expect(await spool.sweep()).toBe(1)
  expect((await readdir(folder)).toSorted()).toEqual([young, 'notes.txt'].toSorted())
})

test.each(['../../etc/passwd', '', 'a'.repeat(33), `${'a'.repeat(31)}/`])(
  'touches no file for the reference %j',
  async (ref) => {
    await expect(spoolOf().delete(ref)).rejects.toMatchObject({ code: 'internal_error' })
    await expect(spoolOf().get(ref)).rejects.toMatchObject({ code: 'internal_error' })
  },
)
