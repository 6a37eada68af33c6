/** What the hub says of the files that are missing here, or damaged: whether it answers, and how many bytes they have. */
import { AppError } from './errors.ts'
import { findSnapshot } from './hub-cache.ts'
import { contactHub, describeFile } from './hub-client.ts'
import { hubOptions, type ModelSpec, type StoreOptions } from './model-store.ts'

export type Missing = {
  /** Of the missing files; null when the hub did not tell. */
  readonly bytes: number | null
  readonly isReached: boolean
  /** Why they can't be had; null when they can. */
  readonly reason: string | null
}

/** `damaged` are here and have to come all the same. Never rejects but with the signal's reason. */
export async function askForMissing(
  spec: ModelSpec,
  store: StoreOptions,
  damaged: readonly string[],
  signal: AbortSignal,
): Promise<Missing> {
  try {
    const hub = hubOptions(store)
    const { id, revision, files } = spec
    const absent = [...damaged]
    for (const file of files) if ((await findSnapshot(store.cacheDir, id, revision, [file])) === null) absent.push(file)
    const [first = files[0] ?? '', ...others] = absent
    const facts = await contactHub({ id, revision, file: first }, hub, signal)
    const more = await Promise.all(others.map((file) => describeFile({ id, revision, file }, hub, signal)))
    const lost = [facts, ...more].indexOf(null)
    if (lost >= 0)
      return { bytes: null, isReached: true, reason: `it has no file ${[first, ...others][lost]} of ${id}` }
    return { bytes: [facts, ...more].reduce((sum, one) => sum + (one?.size ?? 0), 0), isReached: true, reason: null }
  } catch (error) {
    signal.throwIfAborted()
    const reason = error instanceof Error ? error.message : 'unknown'
    return { bytes: null, isReached: error instanceof AppError, reason }
  }
}
