/**
 * The starts of a service, kept on the volume so that a slow one can be told from those before it: one line of JSON for each process, of its
 * first model that was ready, the last fifty.
 * Replicas write the same file, so it is read, added to and replaced whole under a lock. Where nothing can be written, nothing is kept.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { loadavg, uptime } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { BootEntry, type ModelStatus } from './api.ts'
import { withFileLock } from './file-lock.ts'
import { releaseOf } from './release.ts'
import type { Log } from './telemetry.ts'

const MOST = 50
/** In `/ready?verbose`. */
const SHOWN = 10
const LOCK_LIMIT_MS = 5000

export type BootHistoryOptions = {
  /** The data folder. */
  readonly home: string
  readonly service: string
  /** The service's own sources, for `release`. */
  readonly sources: URL
  readonly log: Pick<Log, 'info'>
}

export class BootHistory {
  readonly #options: BootHistoryOptions
  readonly #path: string
  #entries: Promise<readonly BootEntry[]>

  constructor(options: BootHistoryOptions) {
    this.#options = options
    this.#path = bootsPath(options.home, options.service)
    this.#entries = readBoots(this.#path)
  }

  /** The last ones, the newest last; those of this process too when they could not be written. */
  async last(): Promise<readonly BootEntry[]> {
    return (await this.#entries).slice(-SHOWN)
  }

  /** Adds the start of a model that is ready. Never rejects. */
  async record(status: ModelStatus): Promise<void> {
    // At once, so that who asks for the last ones now gets this one too.
    this.#entries = this.#added(status)
    await this.#entries
  }

  async #added({ id, source, firstInferenceMs, secondInferenceMs, boot }: ModelStatus): Promise<readonly BootEntry[]> {
    if (!boot) return this.#entries
    const { service, sources, log } = this.#options
    const entry: BootEntry = {
      ...boot,
      service,
      model: id,
      source,
      firstInferenceMs,
      secondInferenceMs,
      release: await releaseOf(sources),
      machineUpSeconds: Math.round(uptime()),
      load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    }
    return addBoot(this.#path, entry).catch(async (err: unknown) => {
      log.info({ err }, 'the history of starts is not kept')
      return [...(await readBoots(this.#path)), entry]
    })
  }
}

/** Where a service's history lies in the data folder. */
export const bootsPath = (home: string, service: string): string => join(home, 'boots', `${service}.jsonl`)

/** Every line that can be read; none when there is no file. */
export async function readBoots(path: string): Promise<readonly BootEntry[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split('\n').flatMap((line) => {
    try {
      return [BootEntry.parse(JSON.parse(line))]
    } catch {
      return []
    }
  })
}

async function addBoot(path: string, entry: BootEntry): Promise<readonly BootEntry[]> {
  const wait = (ms: number, signal: AbortSignal) => pause(ms, undefined, { signal })
  return withFileLock(`${path}.lock`, { wait }, () => rewrite(path, entry), AbortSignal.timeout(LOCK_LIMIT_MS))
}

async function rewrite(path: string, entry: BootEntry): Promise<readonly BootEntry[]> {
  const entries = [...(await readBoots(path)), entry].slice(-MOST)
  const fresh = `${path}.${randomUUID()}.tmp`
  await mkdir(dirname(path), { recursive: true })
  try {
    await writeFile(fresh, entries.map((one) => `${JSON.stringify(one)}\n`).join(''))
    await rename(fresh, path)
  } finally {
    await rm(fresh, { force: true })
  }
  return entries
}
