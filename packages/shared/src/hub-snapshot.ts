/**
 * Brings the files of a model at one commit into the cache. The idea: the first answer says which commit the revision
 * stands for, and everything after asks for that commit, so that a branch that moves can't mix two versions.
 */
import { join } from 'node:path'
import { Attempts, exhausted, HubUnreachable, retrying, type HubOptions, type RemoteFile } from './hub-attempts.ts'
import { blobPath, fileSize, linkFile, snapshotFolder, writeRef, type FileFacts } from './hub-cache.ts'
import { contactHub, describeFile, notFound } from './hub-client.ts'
import { fetchBlob } from './hub-download.ts'
import { inParallel } from './in-parallel.ts'
import type { FetchProgress } from './model-status.ts'

type Wanted = {
  readonly id: string
  readonly revision: string
  readonly files: readonly string[]
  readonly optionalFiles?: readonly string[]
}
type Described = { readonly remote: RemoteFile; readonly facts: FileFacts }

/** A few connections fill a line that one does not; more would only take turns on it, and be taken for rudeness by the hub. */
const FILES_AT_ONCE = 4

/**
 * Fetches what the cache lacks of `wanted` and names the commit under its ref. Throws HubUnreachable only when the hub
 * never answered; once it has, every failure is an AppError (or the file system's own error).
 */
export async function fetchSnapshot(
  wanted: Wanted,
  cacheDir: string,
  options: HubOptions,
  report: (news: FetchProgress) => void,
  signal: AbortSignal,
): Promise<{ dir: string; commit: string }> {
  const first = await describeFirst(wanted, options, signal)
  const { commit } = first.facts
  try {
    const described = [...(await describeOthers(wanted, commit, options, signal)), first]
    await fetchBlobs(described, cacheDir, options, report, signal)
    // In order, and only now: a snapshot that has the required files, which are the last, has once been completed.
    for (const one of described) await placeFile(one, cacheDir)
  } catch (error) {
    throw error instanceof HubUnreachable ? exhausted(error, first.remote) : error
  }
  // Last, so that a ref never leads to half a snapshot.
  await writeRef(cacheDir, wanted.id, wanted.revision, commit)
  return { dir: snapshotFolder(cacheDir, wanted.id, commit), commit }
}

async function describeFirst(wanted: Wanted, options: HubOptions, signal: AbortSignal): Promise<Described> {
  const { id, revision } = wanted
  const remote: RemoteFile = { id, revision, file: wanted.files[0] ?? '' }
  // Once more is enough for a name server's hiccup; a machine without network shall not wait long for its demo model.
  const attempts = new Attempts(options, Math.min(options.retries, 1))
  const facts = await retrying(attempts, remote, signal, () => contactHub(remote, options, signal))
  if (facts === null) throw notFound(remote)
  return { remote: { ...remote, revision: facts.commit }, facts }
}

/** Optional files first. */
async function describeOthers(
  wanted: Wanted,
  commit: string,
  options: HubOptions,
  signal: AbortSignal,
): Promise<Described[]> {
  const optionalFiles = wanted.optionalFiles ?? []
  const files = [...optionalFiles, ...wanted.files.slice(1)]
  const described = await inParallel(files, FILES_AT_ONCE, signal, async (file, stop) => {
    const remote: RemoteFile = { id: wanted.id, revision: commit, file }
    const facts = await retrying(new Attempts(options), remote, stop, () => describeFile(remote, options, stop))
    if (facts !== null) return { remote, facts }
    if (optionalFiles.includes(file)) return null
    throw notFound({ ...remote, revision: wanted.revision })
  })
  return described.filter((one) => one !== null)
}

/** The largest first, so that none of the large ones is left alone at the end. */
async function fetchBlobs(
  described: readonly Described[],
  cacheDir: string,
  options: HubOptions,
  report: (news: FetchProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const track = trackProgress(described, report)
  const largestFirst = described.toSorted((a, b) => (b.facts.size ?? 0) - (a.facts.size ?? 0))
  await inParallel(largestFirst, FILES_AT_ONCE, signal, (one, stop) =>
    ensureBlob(one, cacheDir, track(one), options, stop),
  )
}

type FileProgress = { readonly bytes: (present: number) => void; readonly done: () => void }

function trackProgress(
  described: readonly Described[],
  report: (news: FetchProgress) => void,
): (one: Described) => FileProgress {
  const present = new Map<Described, number>()
  const files = { done: 0, total: described.length }
  const sum = (numbers: Iterable<number>): number => Iterator.from(numbers).reduce((total, n) => total + n, 0)
  const knownBytes = sum(described.map(({ facts }) => facts.size ?? 0))
  const tell = (): void => {
    const bytes = sum(present.values())
    report({ bytes, totalBytes: Math.max(knownBytes, bytes), files: { ...files } })
  }
  return (one) => ({
    bytes: (count) => {
      present.set(one, count)
      tell()
    },
    done: () => {
      files.done += 1
      tell()
    },
  })
}

/** Nothing is fetched for a file that the snapshot has from an earlier time. */
async function ensureBlob(
  { remote, facts }: Described,
  cacheDir: string,
  progress: FileProgress,
  options: HubOptions,
  signal: AbortSignal,
): Promise<void> {
  const placed = await placedSize({ remote, facts }, cacheDir)
  if (placed === null) await fetchBlob(cacheDir, remote, facts, progress.bytes, options, signal)
  progress.bytes(placed ?? (await fileSize(blobPath(cacheDir, remote.id, facts.etag))) ?? 0)
  progress.done()
}

async function placeFile(one: Described, cacheDir: string): Promise<void> {
  if ((await placedSize(one, cacheDir)) === null) await linkFile(cacheDir, one.remote.id, one.remote.file, one.facts)
}

/** Bytes of the file in the snapshot; null when it is not there, or not of the size that the hub tells. */
async function placedSize({ remote, facts }: Described, cacheDir: string): Promise<number | null> {
  const size = await fileSize(join(snapshotFolder(cacheDir, remote.id, facts.commit), remote.file))
  return size === (facts.size ?? size) ? size : null
}
