/**
 * The Hugging Face cache on disk, laid out as huggingface_hub does it, so that each finds what the other has fetched:
 *
 *   models--<org>--<name>/refs/<revision>             holds the commit that a branch or tag stood for
 *   models--<org>--<name>/snapshots/<commit>/<file>   relative link to ../../blobs/<etag>
 *   models--<org>--<name>/blobs/<etag>                the content, named by the hub's hash of it
 *
 * The idea: a blob's name says what it must contain, so a damaged one can be told without asking anybody.
 */
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  copyFile,
  link,
  mkdir,
  open,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'

/** What the hub says of one file at one commit. `size` is null when it didn't tell. */
export type FileFacts = {
  readonly commit: string
  readonly etag: string
  /** A weak etag names a meaning, not bytes: it is no hash of the content. */
  readonly isWeak: boolean
  readonly size: number | null
}

export const COMMIT = /^[0-9a-f]{40}$/
const GIT_BLOB_SHA1 = /^[0-9a-f]{40}$/
const SHA256 = /^[0-9a-f]{64}$/

const repoFolder = (cacheDir: string, id: string): string => join(cacheDir, `models--${id.replaceAll('/', '--')}`)

export const snapshotFolder = (cacheDir: string, id: string, commit: string): string =>
  join(repoFolder(cacheDir, id), 'snapshots', commit)

export const blobPath = (cacheDir: string, id: string, etag: string): string =>
  join(repoFolder(cacheDir, id), 'blobs', etag)

/** Beside huggingface_hub's own locks, under another name: it locks with flock, which leaves its files lying. */
export const lockPath = (cacheDir: string, id: string, etag: string): string =>
  join(cacheDir, '.locks', basename(repoFolder(cacheDir, id)), `${etag}.hearth.lock`)

/** The snapshot of `revision` that has every one of `files`, or null. A revision that is a commit needs no ref. */
export async function findSnapshot(
  cacheDir: string,
  id: string,
  revision: string,
  files: readonly string[],
): Promise<{ dir: string; commit: string } | null> {
  const commit = COMMIT.test(revision) ? revision : await readRef(cacheDir, id, revision)
  if (commit === null) return null
  const dir = snapshotFolder(cacheDir, id, commit)
  return (await firstMissing(dir, files)) === null ? { dir, commit } : null
}

/** The first of `files` that `dir` lacks or has only as an empty file; null when all are there. */
export async function firstMissing(dir: string, files: readonly string[]): Promise<string | null> {
  for (const file of files) if (!(await fileSize(join(dir, file)))) return file
  return null
}

/** Bytes of the file, through links; null when there is none. */
export async function fileSize(path: string): Promise<number | null> {
  const found = await stat(path).catch(() => null)
  return found?.isFile() ? found.size : null
}

/** Whether the file at `path` is what the hub promised: its size, and its hash where the etag is one. */
export async function isIntact(path: string, facts: Omit<FileFacts, 'commit'>): Promise<boolean> {
  const size = await fileSize(path)
  if (size === null || (facts.size !== null && size !== facts.size)) return false
  return facts.isWeak || (await matchesEtag(path, facts.etag, size)) !== false
}

/** Compares the content with an etag that is a hash (SHA-256, or Git's SHA-1 of a blob); null when the etag is none. */
async function matchesEtag(path: string, etag: string, size: number): Promise<boolean | null> {
  if (SHA256.test(etag)) return (await digest(path, 'sha256', '')) === etag
  if (GIT_BLOB_SHA1.test(etag)) return (await digest(path, 'sha1', `blob ${size}\0`)) === etag
  return null
}

async function digest(path: string, algorithm: 'sha1' | 'sha256', prefix: string): Promise<string> {
  const hash = createHash(algorithm).update(prefix)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

/** Puts `file` into the commit's snapshot, as a relative link to its blob; as a hard link or copy where links can't be made. */
export async function linkFile(cacheDir: string, id: string, file: string, facts: FileFacts): Promise<void> {
  const pointer = join(snapshotFolder(cacheDir, id, facts.commit), file)
  const blob = blobPath(cacheDir, id, facts.etag)
  const fresh = `${pointer}.${randomUUID()}.tmp`
  await mkdir(dirname(pointer), { recursive: true })
  try {
    await symlink(relative(dirname(pointer), blob), fresh)
  } catch {
    await link(blob, fresh).catch(() => copyFile(blob, fresh))
  }
  await rename(fresh, pointer)
}

/** Remembers which commit a branch or tag stood for. A revision that is the commit itself needs no ref. */
export async function writeRef(cacheDir: string, id: string, revision: string, commit: string): Promise<void> {
  if (revision === commit || (await readRef(cacheDir, id, revision)) === commit) return
  const path = join(repoFolder(cacheDir, id), 'refs', revision)
  const fresh = `${path}.${randomUUID()}.tmp`
  await mkdir(dirname(path), { recursive: true })
  await writeFile(fresh, commit)
  await rename(fresh, path)
}

async function readRef(cacheDir: string, id: string, revision: string): Promise<string | null> {
  const ref = await readFile(join(repoFolder(cacheDir, id), 'refs', revision), 'utf8').catch(() => '')
  return COMMIT.test(ref.trim()) ? ref.trim() : null
}

/** Gives a complete download its blob's name, and what was set aside as damaged under that name its end. */
export async function keepBlob(incomplete: string, blob: string): Promise<void> {
  await rename(incomplete, blob)
  await syncFolder(dirname(blob))
  await rm(`${blob}.damaged`, { force: true })
}

/** Makes the rename itself durable. Not every system can: the content is, either way. */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir).catch(() => null)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

/** Whether `dir` is a snapshot folder of this cache. */
export function isSnapshot(dir: string, cacheDir: string): boolean {
  const [repo, snapshots, commit, ...rest] = relative(resolve(cacheDir), resolve(dir)).split(sep)
  return repo?.startsWith('models--') === true && snapshots === 'snapshots' && COMMIT.test(commit ?? '') && !rest.length
}

export const isDiskFull = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')

export type Verdict = 'intact' | 'damaged' | 'unknown'

/** Reads every file of a snapshot against its blob's name. `unknown`: not a link, or the etag is no hash. */
export async function judgeSnapshot(dir: string): Promise<ReadonlyMap<string, Verdict>> {
  const verdicts = new Map<string, Verdict>()
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue
    const path = join(entry.parentPath, entry.name)
    verdicts.set(relative(dir, path), await judgeFile(path))
  }
  return verdicts
}

/** One file of a snapshot. */
export async function judgeFile(path: string): Promise<Verdict> {
  const size = await fileSize(path)
  if (!size) return 'damaged'
  const target = await readlink(path).catch(() => null)
  const matches = target === null ? null : await matchesEtag(path, basename(target), size)
  if (matches === null) return 'unknown'
  return matches ? 'intact' : 'damaged'
}

/** Takes `file` out of a snapshot, and sets its blob aside as `<etag>.damaged` until a good one has come. */
export async function setAside(dir: string, file: string): Promise<void> {
  const pointer = join(dir, file)
  const target = await readlink(pointer).catch(() => null)
  await rm(pointer, { force: true })
  if (target === null) return
  const blob = resolve(dirname(pointer), target)
  // Only this repository's own blobs: a link may have been made to lead anywhere.
  if (dirname(blob) !== resolve(dir, '..', '..', 'blobs')) return
  await rename(blob, `${blob}.damaged`).catch(() => undefined)
}
