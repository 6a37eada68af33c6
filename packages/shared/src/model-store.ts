/**
 * Finds a model's files. The idea is an order of places: a local folder from the settings; the Hugging Face cache, without
 * a word to the hub when it has them all; the hub; and, only when no hub can be reached, the demo model that ships with
 * Hearth, loudly.
 */
import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { DownloadProgress, ModelSource } from './api.ts'
import { AppError } from './errors.ts'
import { HubUnreachable, type HubOptions } from './hub-attempts.ts'
import {
  fileSize,
  findSnapshot,
  firstMissing,
  isDiskFull,
  isSnapshot,
  judgeSnapshot,
  setAside,
  type Verdict,
} from './hub-cache.ts'
import { fetchSnapshot, type Progress } from './hub-snapshot.ts'
import { SingleFlight } from './single-flight.ts'
import type { Log } from './telemetry.ts'
import { systemTimer } from './waits.ts'

export type ModelFiles = {
  readonly dir: string
  readonly source: ModelSource
  /** The commit for `cache` and `hub`, else null. */
  readonly revision: string | null
  /** As the hub names it; `demo/<name>` for a demo model. */
  readonly id: string
  readonly warning: string | null
  /** Of all its files; left out for a model that came in a package. */
  readonly sizeBytes?: number
  /** Of them, those that came from the hub just now. */
  readonly downloadedBytes?: number
}

export type ModelSpec = {
  readonly id: string
  /** A branch, a tag, or a commit (40 hex digits). */
  readonly revision: string
  readonly files: readonly string[]
  /** Fetched when the hub has them. */
  readonly optionalFiles?: readonly string[]
  /** Folder name under `demoDir`. */
  readonly demo: string
}

export type StoreOptions = {
  /** HF_HUB_CACHE, or `hub` under HF_HOME. */
  readonly cacheDir: string
  readonly endpoint: string
  readonly token?: string | undefined
  readonly offline: boolean
  readonly demoDir: string
  readonly localDir?: string | undefined
  /** Whether the demo model may stand in where the one that is wanted can't be had; true unless told. */
  readonly allowDemo?: boolean
  readonly fetch?: typeof fetch
  readonly connectTimeoutMs?: number
  readonly stallTimeoutMs?: number
  /** Failures in a row that are tried again. */
  readonly retries?: number
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly wait?: HubOptions['wait']
  readonly setTimer?: HubOptions['setTimer']
}

/** The one piece of module state: a process has one file system, so what it is fetching is known to the whole process. */
const flights = new SingleFlight<ModelFiles, DownloadProgress>()

/**
 * Finds or fetches the files of `spec`; progress counts the bytes of all its files, with those of an earlier attempt as
 * present. Callers that want the same share one download, which stops when all their signals have aborted. Throws AppError:
 * `model_not_found` (not in the local folder, not at the hub, no access), `model_failed` (wrong content, cache not writable),
 * `storage_full`, `dependency_unavailable` (the hub failed throughout), `invalid_config` (names or settings no hub can have).
 */
export async function fetchModel(
  spec: ModelSpec,
  options: StoreOptions,
  onProgress: (progress: DownloadProgress) => void,
  signal: AbortSignal,
): Promise<ModelFiles> {
  signal.throwIfAborted()
  checkSpec(spec)
  if (options.localDir !== undefined)
    return measured(spec, await fromLocalFolder(spec, options.localDir, options.log), 0)
  const hub = hubOptions(options)
  const key = JSON.stringify([
    resolve(options.cacheDir),
    spec,
    hub.endpoint,
    options.offline,
    options.demoDir,
    options.allowDemo,
  ])
  const work = async (report: (progress: DownloadProgress) => void, stop: AbortSignal): Promise<ModelFiles> => {
    let downloadedBytes = 0
    const counting: HubOptions = { ...hub, onReceived: (bytes) => (downloadedBytes += bytes) }
    const found = await fromCacheOrHub(spec, options, counting, (news) => report({ ...news, downloadedBytes }), stop)
    return measured(spec, found, downloadedBytes)
  }
  return flights.join(key, work, onProgress, signal)
}

async function measured(
  { files, optionalFiles = [] }: ModelSpec,
  found: ModelFiles,
  downloadedBytes: number,
): Promise<ModelFiles> {
  // A demo has its own files.
  const names = found.source === 'demo' ? await readdir(found.dir, { recursive: true }) : [...files, ...optionalFiles]
  return { ...found, sizeBytes: await sizeOf(found.dir, names), downloadedBytes }
}

/** Bytes of those `files` of a model that are in its folder. */
export async function sizeOf(dir: string, files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.map((file) => fileSize(join(dir, file))))
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
}

async function fromLocalFolder(spec: ModelSpec, dir: string, log: StoreOptions['log']): Promise<ModelFiles> {
  const missing = await firstMissing(dir, spec.files)
  if (missing === null) return { dir, source: 'local', revision: null, id: spec.id, warning: null }
  log.warn({ dir, missing }, 'local model folder is not complete')
  const expected = `expected ${spec.files.join(', ')} of ${spec.id} in the local folder "${basename(dir)}"`
  throw new AppError('model_not_found', `${expected}, ${missing} is missing or empty`)
}

async function fromCacheOrHub(
  spec: ModelSpec,
  options: StoreOptions,
  hub: HubOptions,
  report: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<ModelFiles> {
  const { id, revision, files } = spec
  const cached = await findSnapshot(options.cacheDir, id, revision, files)
  if (cached !== null) return { dir: cached.dir, source: 'cache', revision: cached.commit, id, warning: null }
  if (options.offline) return fromDemo(spec, options, 'HF_HUB_OFFLINE is set')
  try {
    const { dir, commit } = await fetchSnapshot(spec, options.cacheDir, hub, report, signal)
    options.log.info({ id, revision: commit }, 'model fetched from the hub')
    return { dir, source: 'hub', revision: commit, id, warning: null }
  } catch (error) {
    if (!(error instanceof HubUnreachable)) throw storageError(error, id)
    return fromDemo(spec, options, `${new URL(hub.endpoint).host} can't be reached (${error.message})`)
  }
}

async function fromDemo(spec: ModelSpec, options: StoreOptions, reason: string): Promise<ModelFiles> {
  const lack = `the cache does not have all of ${spec.id} at revision ${spec.revision}`
  if (options.allowDemo === false) throw new AppError('dependency_unavailable', `${reason}, and ${lack}`)
  const dir = join(options.demoDir, spec.demo)
  const found = await stat(dir).catch(() => null)
  if (!found?.isDirectory())
    throw new AppError('model_not_found', `${reason}, ${lack}, and there is no demo model "${spec.demo}"`)
  const id = `demo/${spec.demo}`
  const warning = `${reason} and the cache does not have all of ${spec.id}: using ${id}, a stand-in of very limited skill`
  options.log.warn({ id, wanted: spec.id }, warning)
  return { dir, source: 'demo', revision: null, id, warning }
}

/** Every file of a cached model against the hash its blob is named by, by file name; empty for other sources. Reads it all. */
export async function verifyCached(files: ModelFiles, cacheDir: string): Promise<ReadonlyMap<string, Verdict>> {
  const isCached = (files.source === 'cache' || files.source === 'hub') && isSnapshot(files.dir, cacheDir)
  return isCached ? judgeSnapshot(files.dir) : new Map()
}

/**
 * Takes out of the cache what can't be trusted after a model failed to load, so that the next fetchModel brings it anew.
 * Returns those files' names. None means that the files are what the hub has, and fetching again would not help.
 */
export async function discardModel(files: ModelFiles, cacheDir: string): Promise<readonly string[]> {
  const verdicts = await verifyCached(files, cacheDir)
  const discarded = [...verdicts].filter(([, verdict]) => verdict !== 'intact').map(([file]) => file)
  for (const file of discarded) await setAside(files.dir, file)
  return discarded
}

/** Names become paths and addresses, so they are held to what the hub allows. */
function checkSpec({ id, revision, files, optionalFiles = [], demo }: ModelSpec): void {
  const isName = (name: string): boolean => /^[\w.+=@-]+$/.test(name) && !/^\.+$/.test(name)
  const isPath = (path: string): boolean => path.length <= 255 && path.split('/').every(isName)
  const isId = /^\w[\w.-]*(\/\w[\w.-]*)?$/.test(id) && id.length <= 96 && !/--|\.\./.test(id)
  const wrong = [...(isId ? [] : [id]), ...(isName(demo) ? [] : [demo])]
  wrong.push(...[revision, ...files, ...optionalFiles].filter((path) => !isPath(path)))
  if (files.length === 0) wrong.push('')
  const [first] = wrong
  if (first === undefined) return
  const expected = 'expected a model id "org/name", a revision, and at least one relative file name'
  throw new AppError('invalid_config', `${expected}, got ${JSON.stringify(first.slice(0, 100))}`)
}

/** How the hub is asked. Throws `invalid_config`. */
export function hubOptions(options: StoreOptions): HubOptions {
  const url = URL.parse(options.endpoint)
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new AppError('invalid_config', 'expected HF_ENDPOINT to be an http or https address without user or query')
  }
  // Checked here because fetch would quote a token that can't be a header in its error message.
  const token = options.token || undefined
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new AppError('invalid_config', 'expected HF_TOKEN to be printable ASCII without spaces')
  }
  return {
    endpoint: options.endpoint,
    token,
    fetch: options.fetch ?? fetch,
    connectTimeoutMs: options.connectTimeoutMs ?? 3000,
    stallTimeoutMs: options.stallTimeoutMs ?? 30_000,
    retries: options.retries ?? 5,
    wait: options.wait ?? ((ms, signal) => pause(ms, undefined, { signal })),
    setTimer: options.setTimer ?? systemTimer,
    log: options.log,
  }
}

function storageError(error: unknown, id: string): unknown {
  if (isDiskFull(error)) {
    return new AppError('storage_full', `no space left in the model cache while fetching ${id}`, { cause: error })
  }
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return error
  const message = `the model cache can't be written (${String(error.code)}) while fetching ${id}`
  return new AppError('model_failed', message, { cause: error })
}
