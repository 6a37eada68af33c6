/** One model service, or the peer, as a process: when it listens, when it is ready, what it costs. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { PORTS, ReadyReport } from '@hearth/shared/api'
import { ROOT } from '../e2e/stack.ts'
import type { ModelFolders } from './boot-models.ts'
import { costOf, spawnNode, threadTimes } from './processes.ts'

export type Service = keyof ModelFolders
export const SERVICES = ['stt', 'tts', 'embeddings'] as const
export type Started = {
  readonly url: string
  readonly listenMs: number
  readonly readyMs: number
  /** Waits until nothing of the service is cold; gives milliseconds since the process began. */
  readonly untilWarm: () => Promise<number>
  /** Milliseconds since the process began. */
  readonly now: () => number
  readonly cost: () => ReturnType<typeof costOf>
  /** Milliseconds of processor time of its threads so far, to the microsecond. */
  readonly spentMs: () => Promise<number>
  readonly stop: () => Promise<void>
}

/** A busy machine takes its time. */
const LIMIT_MS = 300_000
const CONNECT_POLL_MS = 5
/** An answer costs the service half a millisecond of processor time, which is its own start's. */
const READY_POLL_MS = 20
/** As a second start of the stack finds it, and not where the stack keeps the history of its starts. */
const HOME = join(tmpdir(), 'hearth-bench-home')
const COMPILE_CACHE = join(HOME, 'compile-cache')
/** Beside a stack that runs at the default ports. */
const PORT_OFFSET = 10_000

/** Resolves once `/ready` says 200, or with `lazy` once the port answers. */
export async function startService(service: Service, dir: string, preload: string): Promise<Started> {
  const settings = { ...settingsOf(service, dir), [`${service.toUpperCase()}_PRELOAD`]: preload }
  return startProcess([mainOf(service)], PORTS[service] + PORT_OFFSET, settings, preload !== 'lazy')
}

/** An eager start's, which tells nothing but errors. */
const settingsOf = (service: Service, dir: string): NodeJS.ProcessEnv => ({
  [`${service.toUpperCase()}_PORT`]: `${PORTS[service] + PORT_OFFSET}`,
  [`${service.toUpperCase()}_MODEL_DIR`]: dir,
  STT_CACHE_SECONDS: '0',
  TTS_PHRASE_CACHE_BYTES: '0',
  LOG_LEVEL: 'error',
})

const mainOf = (service: Service): string => join(ROOT, 'services', service, 'src/main.ts')

/** An eager start that writes its log to its output. */
export async function launchTold(service: Service, dir: string): Promise<ChildProcess> {
  return launch([mainOf(service)], { ...settingsOf(service, dir), LOG_LEVEL: 'info' })
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
  const child = await launch(program, settings)
  const start = performance.now()
  const now = () => performance.now() - start
  const ended = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  const listenMs = await untilConnected(port, now)
  const readyMs = hasReadiness ? await untilAnswer(`${url}/ready`, (answer) => answer.ok, now) : listenMs
  const stop = async () => {
    child.kill()
    await ended
  }
  const spentMs = async () => [...(await threadTimes(child.pid ?? 0)).values()].reduce((sum, ms) => sum + ms, 0)
  const untilWarm = () => untilAnswer(`${url}/ready`, isWarm, now)
  return { url, listenMs, readyMs, untilWarm, now, cost: () => costOf(child.pid ?? 0), spentMs, stop }
}

async function launch(program: readonly string[], settings: NodeJS.ProcessEnv): Promise<ChildProcess> {
  await mkdir(COMPILE_CACHE, { recursive: true })
  const own = { HEARTH_HOME: HOME, NODE_COMPILE_CACHE: COMPILE_CACHE, HF_HUB_OFFLINE: '1' }
  return spawnNode(program, { ...process.env, ...own, ...settings })
}

async function until(ask: () => Promise<boolean>, pollMs: number, now: () => number): Promise<number> {
  const signal = AbortSignal.timeout(LIMIT_MS)
  while (!(await ask())) await pause(pollMs, undefined, { signal })
  return now()
}

type Answer = { readonly ok: boolean; readonly body: unknown }

const untilAnswer = (url: string, isIt: (answer: Answer) => boolean, now: () => number) =>
  until(
    async () => {
      const answer = await fetch(url).catch(() => null)
      return answer !== null && isIt({ ok: answer.ok, body: await answer.json() })
    },
    READY_POLL_MS,
    now,
  )

const isWarm = ({ body }: Answer): boolean =>
  ReadyReport.parse(body).models.every(({ state, warming = false }) => state === 'ready' && !warming)

/** Without a request, which the peer would answer with a transcription. */
const untilConnected = (port: number, now: () => number) => until(() => connects(port), CONNECT_POLL_MS, now)

async function connects(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const [event] = await Promise.race([
    once(socket, 'connect').then(() => ['connect']),
    once(socket, 'close').then(() => ['close']),
  ]).catch(() => ['error'])
  socket.destroy()
  return event === 'connect'
}
