/**
 * A lock between processes, also on different machines that share a volume: a file only one of them can create.
 * The idea: the holder touches its file again and again, so a holder that died is one whose file stopped changing. Waiting
 * processes judge that by their own clock only. A lock can be lost to a stopped process that wakes up later, so it saves
 * work, and what it guards must stay correct without it.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'

const TOUCH_EVERY_MS = 2000
const POLL_MS = 500
/** Polls without a touch after which the holder counts as dead: 20 s, ten touches missed. */
const DEAD_AFTER_POLLS = 40

export type LockOptions = {
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>
  /** Called at each poll while another process holds the lock. */
  readonly onWait?: () => Promise<void>
}

/** Runs `work` while holding the lock file at `path`, whose folder is made when missing. Waits as long as its holder lives. */
export async function withFileLock<T>(
  path: string,
  options: LockOptions,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const owner = JSON.stringify({ host: hostname(), pid: process.pid, id: randomUUID() })
  await acquire(path, owner, options, signal)
  const touching = setInterval(() => void touch(path), TOUCH_EVERY_MS)
  touching.unref()
  try {
    return await work()
  } finally {
    clearInterval(touching)
    if ((await read(path)).owner === owner) await rm(path, { force: true })
  }
}

async function acquire(path: string, owner: string, options: LockOptions, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  let seen = ''
  let unchangedPolls = 0
  for (;;) {
    signal.throwIfAborted()
    if (await create(path, owner)) return
    const holder = await read(path)
    const sight = `${holder.owner} ${holder.touchedMs}`
    unchangedPolls = sight === seen ? unchangedPolls + 1 : 0
    seen = sight
    if (isGone(holder.owner) || unchangedPolls >= DEAD_AFTER_POLLS) {
      await breakLock(path)
      unchangedPolls = 0
    } else {
      await options.onWait?.()
      await options.wait(POLL_MS, signal)
    }
  }
}

async function create(path: string, owner: string): Promise<boolean> {
  try {
    await writeFile(path, owner, { flag: 'wx' })
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

/** An empty owner when the file is gone, or was just made and not yet written. */
async function read(path: string): Promise<{ owner: string; touchedMs: number }> {
  try {
    const [owner, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    return { owner, touchedMs: mtimeMs }
  } catch {
    return { owner: '', touchedMs: 0 }
  }
}

/** Renamed first, because of several waiting processes only one can rename it. */
async function breakLock(path: string): Promise<void> {
  const broken = `${path}.${randomUUID()}`
  try {
    await rename(path, broken)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
  await rm(broken, { force: true })
}

async function touch(path: string): Promise<void> {
  const now = new Date()
  // A lock that was taken over meanwhile is no error here: see the head of this file.
  await utimes(path, now, now).catch(() => undefined)
}

/** Whether the owner certainly does not live: a process of this machine that no longer exists. */
function isGone(owner: string): boolean {
  const [, host, pid] = /^\{"host":"([^"]*)","pid":(\d+),/.exec(owner) ?? []
  if (host !== hostname() || pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return hasCode(error, 'ESRCH')
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code
