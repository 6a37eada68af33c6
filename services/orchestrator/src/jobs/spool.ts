/**
 * Where the audio of a job lies between the caller and the worker: never in Redis, which a few files would fill. This is the port, and
 * what all spools have in common: names that are random and say nothing, a budget, limits on every wait, and the sweep.
 */
import { randomBytes } from 'node:crypto'
import { AppError } from '@hearth/shared/errors'
import { within } from '../stages/limit.ts'

/** Each call ends within a limit of its own, and sooner with its signal. */
export interface Spool {
  /** Gives an opaque reference. Throws `overloaded` when there is no room, `storage_full` when the storage itself says so. */
  put(bytes: Uint8Array, signal?: AbortSignal): Promise<string>
  /** Null when it is not there (any more). */
  get(ref: string, signal?: AbortSignal): Promise<Blob | null>
  /** Also when it is not there (any more). It takes no signal: who leaves wants it gone all the more. */
  delete(ref: string): Promise<void>
  /** Deletes what is older than the limit; gives how many. */
  sweep(signal?: AbortSignal): Promise<number>
}

export type SpoolLimits = {
  /** Of all files together. */
  readonly maxBytes: number
  /** After this long a file belongs to nobody. */
  readonly maxAgeMs: number
  readonly now?: () => number
}

export type StoredFile = { readonly ref: string; readonly bytes: number; readonly ageMs: number }

/** A place for files under names that were checked. Each throws `dependency_unavailable` or `storage_full`, or an error of the system. */
export interface SpoolStore {
  write(ref: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  read(ref: string, signal: AbortSignal): Promise<Blob | null>
  remove(ref: string, signal: AbortSignal): Promise<void>
  list(signal: AbortSignal): Promise<readonly StoredFile[]>
}

const REF_BYTES = 24
const REF = /^[\w-]{32}$/
/** A caller waits for a write: three seconds, and one more for each megabyte. */
const LIMIT_MS = { remove: 2000, list: 10_000, read: 30_000, write: 3000, writePerByte: 1 / 1000 }
const NEVER = new AbortController().signal
/** Other orchestrators write and delete there too: what they did is looked up again after so long, and sooner when it seems full. */
const LOOK_MS = { often: 5000, full: 1000 }

/** Each call also throws the signal's reason, and `dependency_unavailable` when the store takes too long. */
export function createSpool(
  store: SpoolStore,
  { maxBytes, maxAgeMs, now = () => performance.now() }: SpoolLimits,
): Spool {
  const stored = new Map<string, number>()
  const writing = new Map<string, number>()
  let lookedAt = -Infinity
  const taken = () => sumOf(stored) + sumOf(writing)

  return {
    async put(bytes, signal = NEVER) {
      if (isOlder(LOOK_MS.often) || (taken() + bytes.length > maxBytes && isOlder(LOOK_MS.full))) await look(signal)
      const ref = randomBytes(REF_BYTES).toString('base64url')
      reserve(ref, bytes.length)
      try {
        const limitMs = LIMIT_MS.write + bytes.length * LIMIT_MS.writePerByte
        await limited(limitMs, signal, (limit) => store.write(ref, bytes, limit))
        stored.set(ref, bytes.length)
      } catch (error) {
        // It may be there all the same; nobody waits for that.
        remove(ref).catch(() => {})
        throw error
      } finally {
        writing.delete(ref)
      }
      return ref
    },
    async get(ref, signal = NEVER) {
      requireRef(ref)
      return limited(LIMIT_MS.read, signal, (limit) => store.read(ref, limit))
    },
    async delete(ref) {
      await remove(requireRef(ref))
    },
    async sweep(signal = NEVER) {
      const old = (await look(signal)).filter(({ ageMs }) => ageMs > maxAgeMs)
      for (const { ref } of old) await remove(ref)
      return old.length
    },
  }

  function isOlder(ageMs: number): boolean {
    return now() - lookedAt > ageMs
  }

  function reserve(ref: string, bytes: number): void {
    const before = taken()
    if (before + bytes > maxBytes)
      throw new AppError(
        'overloaded',
        `the spool holds ${before} of at most ${maxBytes} bytes, and more are not taken`,
        {
          retryAfterMs: 5000,
        },
      )
    writing.set(ref, bytes)
  }

  async function remove(ref: string): Promise<void> {
    await limited(LIMIT_MS.remove, NEVER, (limit) => store.remove(ref, limit))
    stored.delete(ref)
  }

  async function look(signal: AbortSignal): Promise<StoredFile[]> {
    const before = lookedAt
    lookedAt = now()
    try {
      const files = (await limited(LIMIT_MS.list, signal, (limit) => store.list(limit))).filter(({ ref }) =>
        REF.test(ref),
      )
      stored.clear()
      for (const { ref, bytes } of files) if (!writing.has(ref)) stored.set(ref, bytes)
      return files
    } catch (error) {
      lookedAt = before
      throw error
    }
  }
}

async function limited<T>(limitMs: number, signal: AbortSignal, work: (limit: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await within(limitMs, signal, work)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AppError && error.code === 'deadline_exceeded') throw spoolAway(error.message, error)
    throw error
  }
}

export const spoolAway = (why: string, cause?: unknown): AppError =>
  new AppError('dependency_unavailable', `expected the spool to answer: ${why}`, { retryAfterMs: 1000, cause })

/** References come back from Redis: whatever stands there, no other file is touched. */
function requireRef(ref: string): string {
  if (REF.test(ref)) return ref
  throw new AppError('internal_error', 'expected a reference of the spool, got something else')
}

const sumOf = (sizes: ReadonlyMap<string, number>): number => sizes.values().reduce((sum, size) => sum + size, 0)
