/** For tests: a real Redis of their own, in memory only, on a free port. What a test makes it write is in a folder of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'

export type RedisServer = { readonly url: string; readonly port: number; stop(): Promise<void> }

/** Resolves once it answers. `port`: one that was used before, to be the same server come back. `more`: flags of redis-server. */
export async function startRedis(port?: number, more: readonly string[] = []): Promise<RedisServer> {
  const chosen = port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), 'hearth-redis-'))
  const inMemory = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
  const flags = ['--port', String(chosen), ...inMemory, ...more]
  const child = spawn('redis-server', flags, { stdio: 'ignore' })
  const failed = once(child, 'exit').then(() => 'exit' as const)
  const url = `redis://127.0.0.1:${chosen}`
  await Promise.race([answers(url), failed.then(() => Promise.reject(new Error('redis-server did not start')))])
  return {
    url,
    port: chosen,
    async stop() {
      child.kill('SIGKILL')
      await failed
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function answers(url: string): Promise<void> {
  const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null })
  client.on('error', () => {})
  await client.ping()
  client.disconnect()
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  return address.port
}

/** Looks until `isSo`, for as long as the test runs. */
export async function until(isSo: () => boolean | Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!(await isSo())) await delay(10, undefined, { signal })
}
