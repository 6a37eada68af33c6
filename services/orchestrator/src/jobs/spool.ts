/**
 * Where the audio of a job lies between the caller and the worker: never in Redis, which a few files would fill. This is the port,
 * and its form as a folder that all orchestrators of one machine (or one shared volume) see. Names are random and say nothing.
 */
import { randomBytes } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@hearth/shared/errors'

export interface Spool {
  /** Gives an opaque reference. Throws `overloaded` when there is no room, `storage_full` when the disk is full. */
  put(bytes: Uint8Array): Promise<string>
  /** Null when it is not there (any more). */
  get(ref: string): Promise<Blob | null>
  /** Also when it is not there (any more). */
  delete(ref: string): Promise<void>
  /** Deletes what is older than the limit; gives how many. */
  sweep(): Promise<number>
}

export type SpoolOptions = {
  readonly folder: string
  /** Of all files together. */
  readonly maxBytes: number
  /** After this long a file belongs to nobody. */
  readonly maxAgeMs: number
  readonly now?: () => number
}

const REF_BYTES = 24
const REF = /^[\w-]{32}$/

export function createFileSpool({ folder, maxBytes, maxAgeMs, now = Date.now }: SpoolOptions): Spool {
  const sizes = new Map<string, number>()
  const pathOf = (ref: string) => join(folder, requireRef(ref))

  return {
    async put(bytes) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      if (sumOf(sizes) + bytes.length > maxBytes) await lookAgain()
      const taken = sumOf(sizes)
      if (taken + bytes.length > maxBytes)
        throw new AppError(
          'overloaded',
          `the spool holds ${taken} of at most ${maxBytes} bytes, and more are not taken`,
          {
            retryAfterMs: 5000,
          },
        )
      const ref = randomBytes(REF_BYTES).toString('base64url')
      sizes.set(ref, bytes.length)
      try {
        await writeFile(pathOf(ref), bytes, { flag: 'wx', mode: 0o600 })
      } catch (error) {
        await remove(ref)
        throw isFull(error) ? new AppError('storage_full', 'the spool: no space is left', { cause: error }) : error
      }
      return ref
    },
    async get(ref) {
      const path = pathOf(ref)
      try {
        return await openAsBlob(path)
      } catch {
        return null
      }
    },
    delete: remove,
    async sweep() {
      const files = await lookAgain()
      const old = files.filter(({ modifiedAt }) => now() - modifiedAt > maxAgeMs)
      for (const { ref } of old) await remove(ref)
      return old.length
    },
  }

  async function remove(ref: string): Promise<void> {
    await rm(pathOf(ref), { force: true })
    sizes.delete(ref)
  }

  /** Other orchestrators write and delete here too. */
  async function lookAgain() {
    const names = await readdir(folder).catch(() => [])
    const found = await Promise.all(names.filter((name) => REF.test(name)).map(look))
    const files = found.filter((file) => file !== null)
    sizes.clear()
    for (const { ref, size } of files) sizes.set(ref, size)
    return files
  }

  async function look(ref: string) {
    const info = await stat(join(folder, ref)).catch(() => null)
    return info && { ref, size: info.size, modifiedAt: info.mtimeMs }
  }
}

/** References come back from Redis: whatever stands there, no other file is touched. */
function requireRef(ref: string): string {
  if (REF.test(ref)) return ref
  throw new AppError('internal_error', 'expected a reference of the spool, got something else')
}

const sumOf = (sizes: ReadonlyMap<string, number>): number => sizes.values().reduce((sum, size) => sum + size, 0)

const isFull = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
