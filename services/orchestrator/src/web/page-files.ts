/**
 * The page's files as they go over the wire. They are TypeScript like all else: a thread of its own strips their types at the start, so that
 * nothing has to be built, the serving thread never waits for it, and Node's word that stripping by call is experimental stays out of the log
 * (docs/decisions/0023).
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export type PageFile = {
  readonly type: string
  readonly bytes: Uint8Array<ArrayBuffer>
  /** The same, compressed; for every browser on every network, where brotli is for https alone. */
  readonly gzip: Uint8Array<ArrayBuffer>
}

export type PageFiles = {
  /** Of all the files: it is in their address, so each can be kept for good. */
  readonly version: string
  readonly document: PageFile
  /** By path under the version's folder, such as `main.ts`. */
  readonly files: ReadonlyMap<string, PageFile>
}

const LIMIT_MS = 30_000

/** Reads and prepares everything. Rejects when a file is not TypeScript that can be stripped, or after 30 s. */
export async function loadPage(): Promise<PageFiles> {
  const worker = new Worker(new URL('./prepare-page.ts', import.meta.url), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const [files] = await once(worker, 'message', { signal: AbortSignal.timeout(LIMIT_MS) })
  return files as PageFiles
}
