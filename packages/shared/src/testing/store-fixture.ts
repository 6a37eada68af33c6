/**
 * A model store for one test: an empty cache, a hub of its own, and time in the test's hands. Pauses between attempts take
 * no time and are noted; limits fire when the test says so.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { ModelSpec, StoreOptions } from '../model-store.ts'
import { startHubServer, type HubServer } from './hub-server.ts'

export type Limit = { readonly ms: number; readonly fire: () => void }

export type StoreFixture = {
  readonly hub: HubServer
  readonly dir: string
  readonly cacheDir: string
  readonly spec: ModelSpec
  readonly options: StoreOptions & { readonly demoDir: string }
  /** The log so far, as JSON lines. */
  readonly log: () => string
  /** Milliseconds of each pause that was made. */
  readonly pausesMs: readonly number[]
  /** Limits that run now. */
  readonly limits: Set<Limit>
}

export const CONFIG = new TextEncoder().encode('{"model_type":"tiny"}\n')
/** Large enough for many socket reads, and without repetition, so that misplaced bytes are seen. */
export const WEIGHTS = pseudoRandomBytes(3_000_000)

export async function storeFixture(): Promise<StoreFixture> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-store-'))
  const hub = await startHubServer({
    'config.json': { content: CONFIG },
    'onnx/model.onnx': { content: WEIGHTS, isLarge: true },
  })
  onTestFinished(async () => {
    hub.close()
    await rm(dir, { recursive: true, force: true })
  })
  const lines: string[] = []
  const pausesMs: number[] = []
  const limits = new Set<Limit>()
  const cacheDir = join(dir, 'hub')
  const options = {
    cacheDir,
    endpoint: hub.endpoint,
    offline: false,
    demoDir: join(dir, 'demo'),
    log: pino({ level: 'trace' }, { write: (line) => lines.push(line) }),
    wait: async (ms: number, signal: AbortSignal) => {
      pausesMs.push(ms)
      await setImmediate(undefined, { signal })
    },
    setTimer: (fire: () => void, ms: number) => {
      const limit = { ms, fire }
      limits.add(limit)
      return () => limits.delete(limit)
    },
  }
  const spec = { id: hub.id, revision: 'main', files: ['config.json', 'onnx/model.onnx'], demo: 'tiny' }
  return { hub, dir, cacheDir, spec, options, log: () => lines.join(''), pausesMs, limits }
}

export async function put(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}

function pseudoRandomBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(count)
  let state = 1
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}
