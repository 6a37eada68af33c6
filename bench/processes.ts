/** Processes that a bench starts and ends, and what they cost. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../services/orchestrator/src/testing/redis-server.ts'

/** In Linux's own unit, which is 10 ms everywhere. */
const TICK_MS = 10

const MAIN = join(import.meta.dirname, '../services/orchestrator/src/main.ts')
const START_MS = 60_000

export type FakeServices = { readonly url: string; stop(): void }

/** Ear, voice, vectors and mind at one address, in a process of their own. */
export async function startFakes({ earMs = 0, firstTokenMs = 0, tokenMs = 0 } = {}): Promise<FakeServices> {
  const times = [earMs, firstTokenMs, tokenMs].map(String)
  const child = spawnNode([join(import.meta.dirname, 'fake-services.ts'), ...times])
  const [port] = await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit').then(failed)])
  return { url: `http://127.0.0.1:${String(port).trim()}`, stop: () => child.kill() }
}

const failed = (): never => {
  throw new Error('expected the process to start')
}

/** Node with type stripping; it ends with this process. */
export const spawnNode = (args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess =>
  spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })

/** What a process has cost: milliseconds of CPU of all its threads, and of the one that serves; megabytes of memory now and at most. */
export type Cost = { cpuMs: number; servingMs: number; rssMb: number; peakMb: number }

/** So far. Linux only. */
export async function costOf(pid: number): Promise<Cost> {
  const [stat, serving, status] = await Promise.all(
    ['stat', `task/${pid}/stat`, 'status'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')),
  )
  const megabytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status ?? '')?.[1]) / 1024
  return {
    cpuMs: cpuMsIn(stat ?? ''),
    servingMs: cpuMsIn(serving ?? ''),
    rssMb: megabytes('VmRSS'),
    peakMb: megabytes('VmHWM'),
  }
}

/** After the name in brackets, which may hold spaces, `utime` and `stime` are fields 12 and 13. */
function cpuMsIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** Milliseconds of processor time of each living thread by its name, to the microsecond; the first thread is `main`. Linux only. */
export async function threadTimes(pid: number): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number>()
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const read = (name: string) => readFile(`/proc/${pid}/task/${thread}/${name}`, 'utf8').catch(() => '')
    const [comm, schedstat] = await Promise.all([read('comm'), read('schedstat')])
    const name = Number(thread) === pid ? 'main' : comm.trim()
    times.set(name, (times.get(name) ?? 0) + Number(schedstat.split(' ')[0]) / 1e6)
  }
  return times
}

export type Orchestrator = { readonly base: string; readonly pid: number; stop(): Promise<void> }

/** The real process, with the settings that an operator would give it. */
export async function startOrchestrator(env: NodeJS.ProcessEnv): Promise<Orchestrator> {
  const [port, home] = [await freePort(), await mkdtemp(join(tmpdir(), 'hearth-bench-'))]
  const own = { ORCHESTRATOR_PORT: `${port}`, HEARTH_HOME: home, HF_HUB_OFFLINE: '1', ORCHESTRATOR_MAX_TURNS: '400' }
  const child = spawnNode([MAIN], { ...process.env, ...own, ...env })
  child.stdout?.resume()
  const ended = once(child, 'exit')
  const base = `http://127.0.0.1:${port}`
  const signal = AbortSignal.timeout(START_MS)
  const isReady = async () => (await fetch(`${base}/ready`, { signal }).catch(() => null))?.status === 200
  while (!(await isReady())) await pause(50, undefined, { signal })
  return {
    base,
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM')
      await ended
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** Everything behind the orchestrator at one address. */
export const envOf = (url: string, redisUrl?: string): NodeJS.ProcessEnv => ({
  STT_URL: url,
  TTS_URL: url,
  EMBEDDINGS_URL: url,
  LLM_URL: `${url}/v1`,
  LLM_MODEL: 'fake',
  LLM_CHAIN: 'openai',
  REDIS_URL: redisUrl ?? '',
})
