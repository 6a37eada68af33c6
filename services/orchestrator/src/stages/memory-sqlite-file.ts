/**
 * Opening a SQLite file so that a damaged one stops nobody: it is moved aside, never deleted, and a new one is begun. Whether it is damaged is
 * looked up before anything else is done with it.
 */
import { existsSync, renameSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'

export type FileOptions = {
  readonly log?: Pick<Log, 'error'>
  /** Milliseconds since 1970; names what is moved aside. */
  readonly now?: () => number
}

const BUSY_MS = 100
const SETTINGS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA busy_timeout = ${BUSY_MS};
`
/** The primary result codes: malformed, and not a database. */
const DAMAGED = new Set([11, 26])

/** Throws `invalid_config`, which names the file, when it can't be used and is not damaged either. */
export function openFile(path: string, schema: string, options: FileOptions = {}): DatabaseSync {
  try {
    return opened(path, schema)
  } catch (error) {
    if (!isDamaged(error)) throw cannotOpen(path, error)
    const aside = moveAside(path, options.now ?? Date.now)
    options.log?.error({ file: path, aside }, 'the memory file is damaged: it was moved aside, and a new one is begun')
  }
  try {
    return opened(path, schema)
  } catch (error) {
    throw cannotOpen(path, error)
  }
}

class DamagedError extends Error {}

function opened(path: string, schema: string): DatabaseSync {
  const database = new DatabaseSync(path)
  try {
    database.exec(SETTINGS)
    const found = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})
    if (found[0] !== 'ok') throw new DamagedError('the check found damage')
    database.exec(schema)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function isDamaged(error: unknown): boolean {
  if (error instanceof DamagedError) return true
  const code: unknown = error instanceof Error ? Reflect.get(error, 'errcode') : undefined
  return typeof code === 'number' && DAMAGED.has(code & 0xff)
}

/** With what SQLite keeps beside it; gives the new name. */
function moveAside(path: string, now: () => number): string {
  const aside = `${path}.damaged-${new Date(now()).toISOString().replaceAll(/[:.]/g, '-')}`
  for (const ending of ['', '-wal', '-shm']) if (existsSync(path + ending)) renameSync(path + ending, aside + ending)
  return aside
}

function cannotOpen(path: string, cause: unknown): AppError {
  const why = cause instanceof Error ? cause.message : 'unknown'
  return new AppError('invalid_config', `the memory file ${path} can't be opened (${why}): see HEARTH_HOME`, { cause })
}
