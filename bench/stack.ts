/** A running stack for a bench: the real `npm start`, on its own ports and data folder, or the one that already runs at `--port`. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ReadyReport } from '@hearth/shared/api'

export const ROOT = resolve(import.meta.dirname, '..')
export const SERVICES = ['orchestrator', 'stt', 'tts', 'embeddings'] as const
export type ServiceName = (typeof SERVICES)[number]

export type Stack = {
  /** Address of each service, such as `http://127.0.0.1:8081`. */
  readonly url: Record<ServiceName, string>
  stop(): Promise<void>
}

const addresses = (port: number): Stack['url'] => {
  const at = (offset: number) => `http://127.0.0.1:${port + offset}`
  return { orchestrator: at(0), stt: at(1), tts: at(2), embeddings: at(3) }
}

/** Starts `npm start` in `folder` with an empty data folder and resolves when every service answers ready. */
export async function startStack(options: {
  folder?: string
  port?: number
  env?: Record<string, string>
  onOutput?: (text: string) => void
}): Promise<Stack> {
  const port = options.port ?? 18_080
  const home = await mkdtemp(join(tmpdir(), 'hearth-bench-'))
  const child = spawn('npm', ['start'], {
    cwd: options.folder ?? ROOT,
    env: {
      ...process.env,
      HEARTH_PORT: `${port}`,
      HEARTH_HOME: home,
      HF_HUB_OFFLINE: '1',
      NO_COLOR: '1',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => options.onOutput?.(text))
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
    await rm(home, { recursive: true, force: true })
  }
  const url = addresses(port)
  await Promise.race([
    Promise.all(SERVICES.map((service) => untilReady(url[service]))),
    ended.then(() => Promise.reject(new Error('the stack ended before it was ready'))),
  ])
  return { url, stop }
}

/** Polls `/ready` for at most five minutes. */
async function untilReady(base: string): Promise<void> {
  const deadline = AbortSignal.timeout(300_000)
  for (;;) {
    deadline.throwIfAborted()
    const answer = await fetch(`${base}/ready`, { signal: deadline }).catch(() => null)
    if (answer?.ok) return
    await new Promise((later) => setTimeout(later, 20))
  }
}

/** What `/ready` of a service says. */
export async function readReport(base: string): Promise<ReadyReport> {
  return ReadyReport.parse(await (await fetch(`${base}/ready`)).json())
}

/** The stack at `--port`, or a fresh one. */
export async function benchStack(port: string | undefined): Promise<Stack> {
  if (port === undefined) return startStack({})
  return { url: addresses(Number(port)), stop: async () => undefined }
}
