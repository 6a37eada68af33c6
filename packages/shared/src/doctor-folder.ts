/** Whether a folder of the data can be written, and how much room its disk has. */
import { randomUUID } from 'node:crypto'
import { rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

/** The system's error code when nothing can be written there, else null. A folder that is not there yet is its parent's matter. */
export async function whyNotWritable(folder: string): Promise<string | null> {
  const probe = join(await nearestFolder(folder), `.hearth-probe-${randomUUID()}`)
  try {
    // With content: an empty file fits on a full disk.
    await writeFile(probe, 'x')
    return null
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  } finally {
    await rm(probe, { force: true }).catch(() => undefined)
  }
}

/** Bytes that this process may still write to the disk of the folder. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(await nearestFolder(folder))
  return bavail * bsize
}

/** What to do about such a code; whoever may not write there may not have made the folder either. */
export function remedyFor(code: string, folder: string, setting: string): string {
  const orElse = `, or name another folder with ${setting}`
  if (code === 'ENOSPC' || code === 'EDQUOT') return `free some space on the disk of ${folder}${orElse}`
  if (code === 'EROFS') return `mount the disk of ${folder} writable${orElse}`
  const user = process.getuid?.() ?? 0
  return `as its owner or root: mkdir -p ${folder} && chown -R ${user} ${folder}${orElse}`
}

async function nearestFolder(folder: string): Promise<string> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    if (
      await stat(path).then(
        () => true,
        () => false,
      )
    )
      return path
    if (path === dirname(path)) return path
  }
}
