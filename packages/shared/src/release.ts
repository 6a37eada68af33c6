/** Which program runs, when there is no version to ask: the content of what it is made of. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const SHARED = new URL('.', import.meta.url)
const LOCKFILE = new URL('../../../pnpm-lock.yaml', import.meta.url)
const SHOWN_DIGITS = 12

/** Changes with Node, the dependencies, and the sources of a service or of what all share. Files that can't be read count as missing. */
export async function releaseOf(sources: URL): Promise<string> {
  const hash = createHash('sha256').update(`${process.version} ${process.arch}\n`)
  hash.update(await readFile(LOCKFILE).catch(() => ''))
  for (const folder of [SHARED, sources].map((url) => fileURLToPath(url)))
    for (const file of await sourceFiles(folder)) {
      hash.update(`${relative(folder, file)}\0`)
      hash.update(await readFile(file).catch(() => ''))
    }
  return hash.digest('hex').slice(0, SHOWN_DIGITS)
}

/** In one order, without tests. */
async function sourceFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((file) => !/\.test\.ts$|[\\/]testing[\\/]/.test(file))
    .toSorted()
}
