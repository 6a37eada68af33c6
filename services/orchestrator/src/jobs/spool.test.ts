/** What every spool promises, for each of its twins. */
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startS3 } from '../testing/s3-server.ts'
import { until } from '../testing/redis-server.ts'
import { createFileSpool } from './spool-folder.ts'
import { createS3Spool } from './spool-s3.ts'
import type { Spool, SpoolLimits } from './spool.ts'

const MINUTE_MS = 60_000
const bytes = (length: number) => new Uint8Array(length).fill(7)
const soon = () => AbortSignal.timeout(10_000)

type Twin = {
  open(limits: SpoolLimits): Spool
  /** References of what lies there. */
  stored(): Promise<string[]>
  makeOlder(ref: string, ms: number): Promise<void>
  close(): Promise<void>
}

async function folderTwin(): Promise<Twin> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-spool-'))
  return {
    open: (limits) => createFileSpool({ folder, ...limits }),
    stored: () => readdir(folder),
    async makeOlder(ref, ms) {
      const past = new Date(Date.now() - ms)
      await utimes(join(folder, ref), past, past)
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

async function s3Twin(): Promise<Twin> {
  const server = await startS3({ pageSize: 2 })
  return {
    open: (limits) => createS3Spool({ bucket: server.bucket, folder: 'spool', ...limits }),
    stored: async () => [...server.objects.keys()].map((key) => key.replace('spool/', '')),
    async makeOlder(ref, ms) {
      const found = server.objects.get(`spool/${ref}`)
      if (found) found.modifiedAt = new Date(found.modifiedAt.getTime() - ms)
    },
    close: () => server.close(),
  }
}

describe.each([
  ['a folder', folderTwin],
  ['a bucket', s3Twin],
])('the spool in %s', (_, start) => {
  let twin: Twin
  let nowMs = 0
  beforeEach(async () => {
    nowMs = 0
    twin = await start()
  })
  afterEach(() => twin.close())
  const spoolOf = (maxBytes = 100) => twin.open({ maxBytes, maxAgeMs: 15 * MINUTE_MS, now: () => nowMs })

  test('gives back what was put, also elsewhere, until it is deleted', async () => {
    const [spool, elsewhere] = [spoolOf(), spoolOf()]
    const ref = await spool.put(bytes(10), soon())
    expect(ref).toMatch(/^[\w-]{32}$/)
    const blob = await elsewhere.get(ref, soon())
    expect(new Uint8Array((await blob?.arrayBuffer()) ?? new ArrayBuffer())).toEqual(bytes(10))
    await elsewhere.delete(ref)
    await spool.delete(ref)
    expect(await spool.get(ref, soon())).toBeNull()
    expect(await twin.stored()).toEqual([])
  })

  test('holds a file of nothing and one of five million bytes', async () => {
    const spool = spoolOf(6e6)
    const refs = await Promise.all([bytes(0), bytes(5e6)].map((file) => spool.put(file, soon())))
    const sizes = await Promise.all(refs.map(async (ref) => (await spool.get(ref, soon()))?.size))
    expect(sizes).toEqual([0, 5e6])
  })

  test('refuses more than it may hold, and takes it once there is room', async () => {
    const spool = spoolOf()
    const ref = await spool.put(bytes(60), soon())
    await expect(spool.put(bytes(41), soon())).rejects.toMatchObject({ code: 'overloaded', status: 429 })
    expect(await twin.stored()).toEqual([ref])
    await spool.delete(ref)
    await expect(spool.put(bytes(100), soon())).resolves.toMatch(/./)
  })

  test('counts what is being written', async () => {
    const spool = spoolOf()
    await spool.sweep(soon())
    const both = await Promise.allSettled([spool.put(bytes(60), soon()), spool.put(bytes(60), soon())])
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  test('counts what another one put, and what it deleted, a second later', async () => {
    const [spool, other] = [spoolOf(), spoolOf()]
    await spool.sweep(soon())
    const ref = await other.put(bytes(60), soon())
    nowMs += 5001
    await expect(spool.put(bytes(60), soon())).rejects.toMatchObject({ code: 'overloaded' })
    await other.delete(ref)
    nowMs += 1001
    await expect(spool.put(bytes(60), soon())).resolves.toMatch(/./)
  })

  test('counts all that was there before it', async () => {
    await Promise.all([10, 20, 30, 30].map((length) => spoolOf().put(bytes(length), soon())))
    await expect(spoolOf().put(bytes(11), soon())).rejects.toThrow('holds 90 of at most 100 bytes')
  })

  test('sweeps what is too old, and nothing younger', async () => {
    const spool = spoolOf()
    const old = await spool.put(bytes(1), soon())
    const young = await spool.put(bytes(1), soon())
    const older = await spool.put(bytes(1), soon())
    await twin.makeOlder(old, 15 * MINUTE_MS + 2000)
    await twin.makeOlder(older, 60 * MINUTE_MS)
    await twin.makeOlder(young, 14 * MINUTE_MS)
    expect(await spoolOf().sweep(soon())).toBe(2)
    expect(await twin.stored()).toEqual([young])
  })

  test('that has not been used is swept all the same', async () => {
    expect(await spoolOf().sweep(soon())).toBe(0)
  })

  test('takes nothing from somebody who has left', async () => {
    const left = AbortSignal.abort(new Error('left'))
    await expect(spoolOf().put(bytes(1), left)).rejects.toThrow('left')
    await expect(spoolOf().get('a'.repeat(32), left)).rejects.toThrow('left')
    await expect(spoolOf().sweep(left)).rejects.toThrow('left')
    await until(async () => (await twin.stored()).length === 0, soon())
  })

  test.each(['../../etc/passwd', '', 'a'.repeat(33), `${'a'.repeat(31)}/`, `${'a'.repeat(31)}?`])(
    'touches nothing for the reference %j',
    async (ref) => {
      await expect(spoolOf().delete(ref)).rejects.toMatchObject({ code: 'internal_error' })
      await expect(spoolOf().get(ref, soon())).rejects.toMatchObject({ code: 'internal_error' })
    },
  )
})
