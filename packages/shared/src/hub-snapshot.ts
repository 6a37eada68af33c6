/**
 * Brings the files of a model at one commit into the cache. The idea: the first answer says which commit the revision
 * stands for, and everything after asks for that commit, so that a branch that moves can't mix two versions.
 */
import { join } from 'node:path'
import { Attempts, exhausted, HubUnreachable, retrying, type HubOptions, type RemoteFile } from './hub-attempts.ts'
import { fileSize, linkFile, snapshotFolder, writeRef, type FileFacts } from './hub-cache.ts'
import { contactHub, describeFile, notFound } from './hub-client.ts'
import { fetchBlob } from './hub-download.ts'

export type Progress = {
  readonly bytes: number
  readonly totalBytes: number
  readonly files: { readonly done: number; readonly total: number }
}

type Wanted = {
  readonly id: string
  readonly revision: string
  readonly files: readonly string[]
  readonly optionalFiles?: readonly string[]
}
type Described = { readonly remote: RemoteFile; readonly facts: FileFacts }

/**
 * Fetches what the cache lacks of `wanted` and names the commit under its ref. Throws HubUnreachable only when the hub
 * never answered; once it has, every failure is an AppError (or the file system's own error).
 */
export async function fetchSnapshot(
  wanted: Wanted,
  cacheDir: string,
  options: HubOptions,
  report: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<{ dir: string; commit: string }> {
  const first = await describeFirst(wanted, options, signal)
  const { commit } = first.facts
  try {
    const described = [...(await describeOthers(wanted, commit, options, signal)), first]
    const track = trackProgress(described, report)
    for (const one of described) await ensureFile(one, cacheDir, track(one), options, signal)
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

/** Optional files first: with the required ones last, a snapshot that has those has been completed once. */
async function describeOthers(
  wanted: Wanted,
  commit: string,
  options: HubOptions,
  signal: AbortSignal,
): Promise<Described[]> {
  const described: Described[] = []
  const optionalFiles = wanted.optionalFiles ?? []
  for (const file of [...optionalFiles, ...wanted.files.slice(1)]) {
    const remote: RemoteFile = { id: wanted.id, revision: commit, file }
    const attempts = new Attempts(options)
    const facts = await retrying(attempts, remote, signal, () => describeFile(remote, options, signal))
    if (facts !== null) described.push({ remote, facts })
    else if (!optionalFiles.includes(file)) throw notFound({ ...remote, revision: wanted.revision })
  }
  return described
}

function trackProgress(
  described: readonly Described[],
  report: (progress: Progress) => void,
): (one: Described) => (bytes: number) => void {
  const present = new Map<Described, number>()
  const sum = (numbers: Iterable<number>): number => Iterator.from(numbers).reduce((total, n) => total + n, 0)
  const knownBytes = sum(described.map(({ facts }) => facts.size ?? 0))
  return (one) => (fileBytes) => {
    present.set(one, fileBytes)
    const bytes = sum(present.values())
    const whole = [...present].filter(([{ facts }, got]) => facts.size !== null && got >= facts.size).length
    const files = { done: whole, total: described.length }
    report({ bytes, totalBytes: Math.max(knownBytes, bytes), files })
  }
}

async function ensureFile(
  { remote, facts }: Described,
  cacheDir: string,
  onBytes: (bytes: number) => void,
  options: HubOptions,
  signal: AbortSignal,
): Promise<void> {
  const pointer = join(snapshotFolder(cacheDir, remote.id, facts.commit), remote.file)
  const size = await fileSize(pointer)
  if (size === null || size !== (facts.size ?? size)) {
    await fetchBlob(cacheDir, remote, facts, onBytes, options, signal)
    await linkFile(cacheDir, remote.id, remote.file, facts)
  }
  onBytes((await fileSize(pointer)) ?? 0)
}
