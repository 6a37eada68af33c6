/** The spool as a folder that all orchestrators of one machine (or one shared volume) see. */
import { openAsBlob } from 'node:fs'
import { mkdir, readdir, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@hearth/shared/errors'
import { createSpool } from './spool.ts'
import type { Spool, SpoolLimits, SpoolStore, StoredFile } from './spool.ts'

export type FileSpoolOptions = SpoolLimits & { readonly folder: string }

/** Makes the folder when the first file comes. */
export const createFileSpool = ({ folder, ...limits }: FileSpoolOptions): Spool => createSpool(storeIn(folder), limits)

function storeIn(folder: string): SpoolStore {
  return {
    async write(ref, bytes, signal) {
      const write = () => writeFile(join(folder, ref), bytes, { flag: 'wx', mode: 0o600, signal })
      try {
        await write().catch(async (error: unknown) => {
          if (codeOf(error) !== 'ENOENT') throw error
          await mkdir(folder, { recursive: true, mode: 0o700 })
          await write()
        })
      } catch (error) {
        if (!FULL.has(codeOf(error))) throw error
        throw new AppError('storage_full', 'the spool: no space is left', { cause: error })
      }
    },
    async read(ref) {
      try {
        return await openAsBlob(join(folder, ref))
      } catch {
        return null
      }
    },
    async remove(ref) {
      await unlink(join(folder, ref)).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error
      })
    },
    async list() {
      const names = await readdir(folder).catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') return []
        throw error
      })
      const found = await Promise.all(names.map((name) => look(folder, name)))
      return found.filter((file) => file !== null)
    },
  }
}

async function look(folder: string, ref: string): Promise<StoredFile | null> {
  const info = await stat(join(folder, ref)).catch(() => null)
  return info && { ref, bytes: info.size, ageMs: Date.now() - info.mtimeMs }
}

const FULL = new Set(['ENOSPC', 'EDQUOT'])

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
