import { execFileSync } from 'node:child_process'
import { access, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { withFileLock } from './file-lock.ts'

const never = new AbortController().signal
const noWait = async (): Promise<void> => undefined
let dir: string
let path: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-lock-'))
  path = join(dir, 'locks', 'x.lock')
  onTestFinished(() => rm(dir, { recursive: true }))
})

async function leaveLock(owner: object): Promise<void> {
  await withFileLock(path, { wait: noWait }, async () => undefined, never)
  await writeFile(path, JSON.stringify(owner))
}

test('work under one lock never overlaps, and the file is gone afterwards', async () => {
  let inside = 0
  let most = 0
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside)
    await access(path)
    inside -= 1
  }
  await Promise.all([1, 2, 3, 4].map(() => withFileLock(path, { wait: noWait }, work, never)))
  expect(most).toBe(1)
  expect(await readdir(join(dir, 'locks'))).toEqual([])
})

test('the lock is given back when the work fails', async () => {
  const work = async (): Promise<void> => {
    throw new Error('broken')
  }
  await expect(withFileLock(path, { wait: noWait }, work, never)).rejects.toThrow('broken')
  await expect(access(path)).rejects.toThrow('ENOENT')
})

test('the lock of a process of this machine that has ended is taken over at once', async () => {
  const pid = Number(execFileSync(process.execPath, ['-p', 'process.pid']))
  await leaveLock({ host: hostname(), pid, id: 'x' })
  const wait = async (): Promise<void> => expect.unreachable('it should not wait')
  expect(await withFileLock(path, { wait }, async () => 'mine', never)).toBe('mine')
})

test('the lock of another machine is taken over once it has not been touched for 40 polls', async () => {
  await leaveLock({ host: 'elsewhere', pid: process.pid, id: 'x' })
  let polls = 0
  const wait = async (): Promise<void> => void polls++
  expect(await withFileLock(path, { wait }, async () => 'mine', never)).toBe('mine')
  expect(polls).toBe(40)
})

test('a lock that is touched is waited for, however long, even when the clocks of both machines differ', async () => {
  await leaveLock({ host: 'elsewhere', pid: process.pid, id: 'x' })
  let polls = 0
  const wait = async (): Promise<void> => {
    polls += 1
    if (polls % 30 === 0) await utimes(path, polls, polls)
    if (polls === 300) await rm(path)
  }
  await withFileLock(path, { wait }, async () => undefined, never)
  expect(polls).toBe(300)
})

test('waiting ends with the signal', async () => {
  await leaveLock({ host: 'elsewhere', pid: 1, id: 'x' })
  const leaving = new AbortController()
  const wait = async (): Promise<void> => leaving.abort(new Error('gone'))
  const waiting = withFileLock(path, { wait }, async () => undefined, leaving.signal)
  await expect(waiting).rejects.toThrow('gone')
  await access(path)
})

test('a lock that was taken over meanwhile is left to its new owner', async () => {
  await withFileLock(path, { wait: noWait }, () => writeFile(path, 'of another'), never)
  await expect(access(path)).resolves.toBeUndefined()
})
