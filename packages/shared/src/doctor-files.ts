/** Whether all files of a model are here, and are what the hub has. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { findSnapshot, fileSize, judgeFile, type Verdict } from './hub-cache.ts'
import { type ModelSpec, sizeOf, type StoreOptions } from './model-store.ts'

/** `files`: those at fault. `bytes`: of all that are here. */
export type FilesFound = {
  readonly state: 'complete' | 'missing' | 'damaged'
  readonly files: readonly string[]
  readonly bytes: number
}

/** Reads every file once against the hash in its name; later only those that changed since. Rejects with the signal's reason. */
export async function examineFiles(
  spec: ModelSpec,
  { cacheDir, localDir }: StoreOptions,
  signal: AbortSignal,
): Promise<FilesFound> {
  const dir = localDir ?? (await findSnapshot(cacheDir, spec.id, spec.revision, spec.files))?.dir
  if (dir === undefined) return { state: 'missing', files: await lacking(spec, cacheDir), bytes: 0 }
  const absent = await absentFrom(dir, spec.files)
  if (absent.length > 0) return { state: 'missing', files: absent, bytes: 0 }
  const all = [...spec.files, ...(spec.optionalFiles ?? [])]
  const bytes = await sizeOf(dir, all)
  const damaged = localDir === undefined ? await damagedOf(dir, all, signal) : []
  return { state: damaged.length > 0 ? 'damaged' : 'complete', files: damaged, bytes }
}

async function damagedOf(dir: string, files: readonly string[], signal: AbortSignal): Promise<string[]> {
  const damaged: string[] = []
  for (const file of files) {
    signal.throwIfAborted()
    const path = join(dir, file)
    if ((await fileSize(path)) !== null && (await judgeOnce(path)) === 'damaged') damaged.push(file)
  }
  return damaged
}

/** Of the files of a revision that is not complete, or not known at all, those that are missing. */
async function lacking({ id, revision, files }: ModelSpec, cacheDir: string): Promise<readonly string[]> {
  const found = await findSnapshot(cacheDir, id, revision, [])
  return found === null ? files : absentFrom(found.dir, files)
}

async function absentFrom(dir: string, files: readonly string[]): Promise<string[]> {
  const sizes = await Promise.all(files.map((file) => fileSize(join(dir, file))))
  return files.filter((_, at) => !sizes[at])
}

type Judged = { readonly size: number; readonly mtimeMs: number; readonly verdict: Promise<Verdict> }

/** What was read or is being read, by path: a model is hundreds of megabytes, pages ask often, and a reading outlasts who asked. */
const judged = new Map<string, Judged>()

async function judgeOnce(path: string): Promise<Verdict> {
  const { size, mtimeMs } = await stat(path)
  const known = judged.get(path)
  if (known?.size === size && known.mtimeMs === mtimeMs) return known.verdict
  const verdict = judgeFile(path)
  judged.set(path, { size, mtimeMs, verdict })
  verdict.catch(() => judged.delete(path))
  return verdict
}
