/**
 * The real stack for a test or a bench: the real command, on five free ports, with an empty data folder and no way to the hub. The same tests
 * run against the compose file when HEARTH_E2E says so; there everything is behind the orchestrator's address.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { composeProject } from './compose.ts'
import { portProblems, stackPorts } from '../scripts/ports.ts'
import type { StackPorts } from '../scripts/ports.ts'
import { SERVICES, urlOf } from '../scripts/stack.ts'
import type { ServiceName } from '../scripts/stack.ts'
import { ROOT, untilTrue } from './until-true.ts'

export { ROOT, untilTrue }
/** Nothing listens there: the language model is the embedded one also on a machine that runs Ollama. */
const NOWHERE = 'http://127.0.0.1:1'

export type Stack = {
  readonly ports: StackPorts
  readonly url: Readonly<Record<ServiceName, string>>
  /** Everything it printed so far. */
  output(): string
  /** Every process that it said it started, oldest first. */
  pids(part?: string): number[]
  /** Resolves when the service answers ready; rejects after a limit. */
  untilReady(service: ServiceName): Promise<void>
  /** Asks it to end as Ctrl-C in another terminal would; resolves with the exit code. */
  stop(): Promise<number | null>
}

export type StackOptions = {
  /** The clone to start. */
  readonly root?: string
  readonly env?: NodeJS.ProcessEnv
}

/** Whether the stack of these tests is made of containers. What is about processes and their output is not asked of those. */
export const inCompose = process.env['HEARTH_E2E'] === 'compose'

/** Starts the stack; resolves when it has printed its table and address, or when all containers are healthy. */
export const startStack = (options: StackOptions = {}): Promise<Stack> =>
  inCompose ? startContainers() : startProcesses(options)

async function startContainers(): Promise<Stack> {
  const compose = await composeProject({
    settings: { HF_HUB_OFFLINE: '1', OLLAMA_URL: NOWHERE },
    only: ['orchestrator'],
  })
  await compose.up().catch(async (error: unknown) => {
    await compose.remove()
    throw error
  })
  const ports = stackPorts(new URL(compose.url).port)
  return {
    ports,
    url: Object.fromEntries(SERVICES.map((name) => [name, compose.url])) as Record<ServiceName, string>,
    output: () => '',
    pids: () => [],
    untilReady: () => compose.untilHealthy(),
    stop: async () => {
      await compose.remove()
      return 0
    },
  }
}

async function startProcesses({ root = ROOT, env = {} }: StackOptions): Promise<Stack> {
  const ports = await freePorts()
  const home = await mkdtemp(join(tmpdir(), 'hearth-stack-'))
  const environment = { ...settings(ports, home), ...env }
  const child = spawn('npm', ['start'], { cwd: root, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += stripVTControlCharacters(text)))
  const ended = once(child, 'close')
  const url = Object.fromEntries(SERVICES.map((name) => [name, urlOf(ports, name)])) as Record<ServiceName, string>
  const stack: Stack = {
    ports,
    url,
    output: () => output,
    pids: (part = '\\w+') => pidsIn(output, part),
    untilReady: (service) => untilTrue(() => answersReady(url[service])),
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      await rm(home, { recursive: true, force: true })
      return child.exitCode
    },
  }
  await untilTrue(async () => isListening(child, output)).catch(async (error: unknown) => {
    await stack.stop()
    throw new Error(`the stack did not come up:\n${output}`, { cause: error })
  })
  return stack
}

function settings(ports: StackPorts, home: string): NodeJS.ProcessEnv {
  const { HF_HOME: _theirs, HF_HUB_CACHE: _theirsToo, ...outside } = process.env
  const own = { HEARTH_PORT: `${ports.orchestrator}`, HEARTH_HOME: home, HF_HUB_OFFLINE: '1', OLLAMA_URL: NOWHERE }
  return { ...outside, ...own, NO_COLOR: '1' }
}

/** Five free ports in a row, below the range from which the system hands out ports of its own. */
export async function freePorts(): Promise<StackPorts> {
  for (;;) {
    const ports = stackPorts(`${randomInt(15_000, 32_000)}`)
    if ((await portProblems(ports)).length === 0) return ports
  }
}

/** How the table begins, which comes when nothing is cold any more. */
const TABLE = '\nservice  '

function isListening(child: ChildProcess, output: string): boolean {
  if (child.exitCode !== null) throw new Error(`it ended with exit code ${child.exitCode}`)
  return output.includes('Hearth listens at') && output.includes(TABLE)
}

function pidsIn(output: string, part: string): number[] {
  return [...output.matchAll(new RegExp(`^${part} *\\| started, pid (\\d+)$`, 'gm'))].map((match) => Number(match[1]))
}

async function answersReady(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(2000) }).catch(() => null)
  return answer?.status === 200
}

/** Whether a process of that number exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
