/** One model service, or the peer, as a process: when it listens, when it is ready, what it costs. */
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { PORTS } from '@hearth/shared/api'
import { ROOT } from '../e2e/stack.ts'
import type { ModelFolders } from './boot-models.ts'
import { costOf, spawnNode } from './processes.ts'

export type Service = keyof ModelFolders
export const SERVICES = ['stt', 'tts', 'embeddings'] as const
export type Started = {
  readonly url: string
  readonly listenMs: number
  readonly readyMs: number
  /** Milliseconds since the process began. */
  readonly now: () => number
  readonly cost: () => ReturnType<typeof costOf>
  readonly stop: () => Promise<void>
}

/** A busy machine takes its time. */
const LIMIT_MS = 300_000
const POLL_MS = 5
/** As a second start of the stack finds it, and not where the stack keeps the history of its starts. */
const HOME = join(tmpdir(), 'hearth-bench-home')
const COMPILE_CACHE = join(HOME, 'compile-cache')
/** Beside a stack that runs at the default ports. */
const PORT_OFFSET = 10_000

/** Resolves once `/ready` says 200, or with `lazy` once the port answers. */
export async function startService(service: Service, dir: string, preload: string): Promise<Started> {
  const port = PORTS[service] + PORT_OFFSET
  const name = service.toUpperCase()
  const settings = {
    [`${name}_PORT`]: `${port}`,
    [`${name}_MODEL_DIR`]: dir,
    [`${name}_PRELOAD`]: preload,
    STT_CACHE_SECONDS: '0',
    TTS_PHRASE_CACHE_BYTES: '0',
    LOG_LEVEL: 'error',
  }
  return startProcess([join(ROOT, 'services', service, 'src/main.ts')], port, settings, preload !== 'lazy')
}

export const startSerial = ({ stt, tts, embeddings }: ModelFolders, warm: 'warm' | 'cold'): Promise<Started> => {
  const port = PORTS.stt + PORT_OFFSET - 1
  const program = [join(import.meta.dirname, 'boot-serial.ts'), `${port}`, stt, tts, embeddings, warm]
  return startProcess(program, port, {}, false)
}

async function startProcess(
  program: readonly string[],
  port: number,
  settings: NodeJS.ProcessEnv,
  hasReadiness: boolean,
): Promise<Started> {
  await mkdir(COMPILE_CACHE, { recursive: true })
  const start = performance.now()
  const now = () => performance.now() - start
  const child = spawnNode(program, {
    ...process.env,
    HEARTH_HOME: HOME,
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    HF_HUB_OFFLINE: '1',
    ...settings,
  })
  const ended = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  const listenMs = await untilConnected(port, now)
  const readyMs = hasReadiness ? await untilOk(`${url}/ready`, now) : listenMs
  const stop = async () => {
    child.kill()
    await ended
  }
  return { url, listenMs, readyMs, now, cost: () => costOf(child.pid ?? 0), stop }
}

async function until(ask: () => Promise<boolean>, now: () => number): Promise<number> {
  const signal = AbortSignal.timeout(LIMIT_MS)
  while (!(await ask())) await pause(POLL_MS, undefined, { signal })
  return now()
}

const untilOk = (url: string, now: () => number) =>
  until(async () => {
    const answer = await fetch(url).catch(() => null)
    await answer?.arrayBuffer()
    return answer?.ok === true
  }, now)

/** Without a request, which the peer would answer with a transcription. */
const untilConnected = (port: number, now: () => number) => until(() => connects(port), now)

async function connects(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const [event] = await Promise.race([
    once(socket, 'connect').then(() => ['connect']),
    once(socket, 'close').then(() => ['close']),
  ]).catch(() => ['error'])
  socket.destroy()
  return event === 'connect'
}
