/**
 * Brings one file of a hub into the cache. The idea: a file is written under another name, picked up where an earlier
 * attempt (or process) stopped, read back from the disk against the hub's hash, and only then gets its name. So nothing
 * unchecked is ever visible, whatever the network, a kill or a second writer did.
 */
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from './errors.ts'
import { withFileLock } from './file-lock.ts'
import { Attempts, inWords, retrying, Transient, type HubOptions, type RemoteFile } from './hub-attempts.ts'
import { blobPath, fileSize, isDiskFull, isIntact, keepBlob, lockPath, type FileFacts } from './hub-cache.ts'
import { chunksOf, openFile, withStallLimit } from './hub-client.ts'

/** Bytes that count as progress: fewer, and a hub that breaks off again and again would be asked forever. */
const PROGRESS_BYTES = 1 << 20

type Job = {
  readonly remote: RemoteFile
  readonly facts: FileFacts
  /** `blobs/<etag>.incomplete` */
  readonly incomplete: string
  /** The file's bytes on disk so far. */
  readonly onBytes: (bytes: number) => void
  readonly options: HubOptions
}

/**
 * Makes `blobs/<etag>` an intact copy of the file that `facts` describe. Wrong content is deleted and fetched once more.
 * Throws AppError `model_failed` (wrong content twice), `dependency_unavailable` (attempts used up) and what openFile throws.
 */
export async function fetchBlob(
  cacheDir: string,
  remote: RemoteFile,
  facts: FileFacts,
  onBytes: (bytes: number) => void,
  options: HubOptions,
  signal: AbortSignal,
): Promise<void> {
  const blob = blobPath(cacheDir, remote.id, facts.etag)
  const job: Job = { remote, facts, incomplete: `${blob}.incomplete`, onBytes, options }
  const onWait = async (): Promise<void> => onBytes((await fileSize(job.incomplete)) ?? 0)
  await mkdir(dirname(blob), { recursive: true })
  const work = (): Promise<void> => fetchLocked(blob, job, signal)
  await withFileLock(lockPath(cacheDir, remote.id, facts.etag), { wait: options.wait, onWait }, work, signal)
}

async function fetchLocked(blob: string, job: Job, signal: AbortSignal): Promise<void> {
  for (let round = 1; round <= 2; round++) {
    // Another process may have brought it, before the lock was ours or after it was lost.
    if (await isIntact(blob, job.facts)) return
    await rm(blob, { force: true })
    await fill(job, signal)
    if (await isIntact(job.incomplete, job.facts)) return keepBlob(job.incomplete, blob)
    await rm(job.incomplete, { force: true })
    job.options.log.warn({ id: job.remote.id, file: job.remote.file, round }, 'downloaded file does not match its hash')
  }
  const expected = `expected ${job.facts.size ?? 'some'} bytes with hash ${job.facts.etag}`
  throw new AppError('model_failed', `${expected}, got other content twice for ${inWords(job.remote)}`)
}

/** Receives until all bytes are there, over as many connections as that takes. */
async function fill(job: Job, signal: AbortSignal): Promise<void> {
  const attempts = new Attempts(job.options)
  let furthest = (await fileSize(job.incomplete)) ?? 0
  await retrying(attempts, job.remote, signal, async () => {
    try {
      await withStallLimit(job.options, signal, (limited, touch) => receive(job, touch, limited))
    } catch (error) {
      // A full disk is everybody's: what can't be finished must not take it up.
      if (isDiskFull(error)) await rm(job.incomplete, { force: true })
      throw error
    } finally {
      const size = (await fileSize(job.incomplete)) ?? 0
      if (size >= furthest + PROGRESS_BYTES) {
        furthest = size
        attempts.reset()
      }
    }
  })
}

/** One transfer, appended to what is there when the hub plays along. */
async function receive(job: Job, touch: () => void, signal: AbortSignal): Promise<void> {
  const { facts } = job
  const present = (await fileSize(job.incomplete)) ?? 0
  job.onBytes(present)
  if (facts.size !== null && present === facts.size) return
  const response = await openFile(job.remote, present, job.options, signal)
  touch()
  const start = startOf(response, present, facts)
  if (start === null) {
    await response.body?.cancel()
    // The same range would be answered the same; but a passing web page is no reason to lose what is there.
    if (response.status !== 200) await rm(job.incomplete, { force: true })
    throw new Transient(`the hub answered ${response.status} with another range, length or type than the file has`)
  }
  // Deleted, not truncated: a process that lost its lock may have renamed this very file to the finished blob.
  if (start === 0) await rm(job.incomplete, { force: true })
  const size = await append(job, start, response, touch)
  if (facts.size !== null && size < facts.size) throw new Transient(`the body ended at byte ${size} of ${facts.size}`)
}

/** The byte at which the body starts; null when it can't be this file's. */
function startOf(response: Response, asked: number, facts: FileFacts): number | null {
  if (response.status === 206) {
    const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '') ?? []
    const isSameFile = total === '*' || facts.size === null || Number(total) === facts.size
    return Number(first) === asked && isSameFile ? asked : null
  }
  const length = response.headers.get('content-length')
  const isSameLength = length === null || facts.size === null || Number(length) === facts.size
  const isWebPage = response.headers.get('content-type')?.startsWith('text/html') === true
  return response.status === 200 && isSameLength && !isWebPage ? 0 : null
}

/** Writes the body from byte `start` on and makes it durable. Returns the size reached; stops once that is too much. */
async function append(job: Job, start: number, response: Response, touch: () => void): Promise<number> {
  const handle = await open(job.incomplete, start === 0 ? 'w' : 'r+')
  let size = start
  try {
    for await (const chunk of chunksOf(response)) {
      await writeAll(handle, chunk, size)
      size += chunk.byteLength
      job.options.onReceived?.(chunk.byteLength)
      job.onBytes(size)
      touch()
      if (job.facts.size !== null && size > job.facts.size) break
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  return size
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0
  while (written < bytes.byteLength) {
    const result = await handle.write(bytes, written, bytes.byteLength - written, position + written)
    written += result.bytesWritten
  }
}
