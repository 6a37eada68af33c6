/** Which model exactly makes the vectors: those of two revisions, or of two precisions, must never be compared with each other. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModelFiles } from '@hearth/shared/model-store'

export type ModelIdentity = {
  /** The hub's commit, or a hash of the weights' ends where there is none, and the precision. */
  readonly revision: string
  readonly sizeBytes: number
}

const END_BYTES = 65_536
const HASH_CHARS = 12

/** `weights` is the file's path inside the model's folder. Throws when it is missing. */
export async function identify(
  { dir, revision }: Pick<ModelFiles, 'dir' | 'revision'>,
  weights: string,
  dtype: string,
): Promise<ModelIdentity> {
  const file = await open(join(dir, weights))
  try {
    const { size } = await file.stat()
    const known = revision ?? (await hashOfEnds(file, size))
    return { revision: `${known.slice(0, HASH_CHARS)}-${dtype}`, sizeBytes: size }
  } finally {
    await file.close()
  }
}

/** Reading all of the weights would cost as long as loading them. */
async function hashOfEnds(file: Awaited<ReturnType<typeof open>>, size: number): Promise<string> {
  const hash = createHash('sha256').update(String(size))
  for (const at of [0, Math.max(0, size - END_BYTES)]) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(END_BYTES), 0, END_BYTES, at)
    hash.update(buffer.subarray(0, bytesRead))
  }
  return hash.digest('hex')
}
