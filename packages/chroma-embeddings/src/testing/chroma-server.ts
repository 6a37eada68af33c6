/**
 * A real Chroma server for tests and benches: the one that scripts/install-chroma.ts brought, as a process of its own. Its library has no
 * other way to be started, and takes 400 MB, so it is no dependency of Hearth.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type ChromaServer = {
  readonly url: string
  /** As a crash would: SIGKILL. */
  kill(): Promise<void>
}

const FOLDER = fileURLToPath(new URL('../../../../volumes/chroma-server', import.meta.url))
const LIBRARY = join(FOLDER, 'node_modules', `chromadb-js-bindings-${process.platform}-${process.arch}-gnu`)
const START_LIMIT_MS = 20_000
const LOOK_EVERY_MS = 50

/** Said where tests are skipped. */
export const NO_CHROMA = existsSync(LIBRARY)
  ? null
  : 'no Chroma server here: `node scripts/install-chroma.ts` brings one'

/** Answers once the server does. `port`: as before, to come back at the same place. Throws when it does not come up. */
export async function startChroma(path: string, port?: number): Promise<ChromaServer> {
  const at = port ?? (await freePort())
  const code = 'const [library, ...args] = process.argv.slice(1); require(library).cli(args)'
  const args = ['-e', code, LIBRARY, 'chroma', 'run', '--path', path, '--port', String(at)]
  const server = spawn(process.execPath, args, { stdio: 'ignore', cwd: dirname(FOLDER) })
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  const url = `http://127.0.0.1:${at}`
  const kill = async (): Promise<void> => {
    server.kill('SIGKILL')
    await ended
  }
  const until = performance.now() + START_LIMIT_MS
  while (!(await answers(url))) {
    if (server.exitCode !== null || performance.now() > until) {
      await kill()
      throw new Error('expected a Chroma server, got none that answers')
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
  return { url, kill }
}

async function answers(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/api/v2/heartbeat`, { signal: AbortSignal.timeout(1000) }).catch(() => null)
  await answer?.arrayBuffer()
  return answer?.ok ?? false
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('expected a port')
  return address.port
}
