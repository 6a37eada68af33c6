/**
 * `npm start`: one command to a running stack, natively. The four services and Redis start side by side under supervision;
 * when the models are ready it says how to speak to them, and when they are warm one table says what runs. Ctrl-C drains and stops everything, a second one kills it.
 */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readable, readableRedis } from './log-line.ts'
import { portProblems, stackPorts } from './ports.ts'
import { describeProgress, drawProgress, readReport, untilSettled, untilWarm } from './readiness.ts'
import type { ServiceView } from './readiness.ts'
import { thisMachine } from './machine.ts'
import { answersPing, HOW_TO_GET_REDIS, redisCommand, WITHOUT_REDIS } from './redis.ts'
import { createScreen } from './screen.ts'
import { onStopRequest } from './stop-request.ts'
import { dataFolder, SERVICES, stackEnvironment, supervisePart, tellAs, urlOf } from './stack.ts'
import type { ServiceName, StackPlan } from './stack.ts'
import type { Supervisor } from './supervisor.ts'
import { notes, readyTable } from './table.ts'

const REDIS_PING_MS = 100

const root = resolve(import.meta.dirname, '..')
const screen = createScreen(process.stdout)
/** A closed log pipe is no reason to stop serving. */
process.stdout.on('error', () => undefined)

const plan = await makePlan().catch((error: unknown) => refuse(error instanceof Error ? error.message : String(error)))
const environment = stackEnvironment(plan, process.env)
const services = new Map(SERVICES.map((name) => [name, superviseService(name)]))
let redis: Supervisor | null = null

const stopping = onStopRequest({ stop, kill })
for (const service of services.values()) service.start()
await Promise.all([startRedis(), showReadiness()]).catch((error: unknown) => {
  if (!stopping.aborted) throw error
})

/** Ports and data folder as the settings say; throws an Error whose message is for the person who starts. */
async function makePlan(): Promise<StackPlan> {
  const ports = stackPorts(process.env['HEARTH_PORT'])
  const problems = await portProblems(ports)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  const home = dataFolder(root, process.env)
  for (const folder of ['hf-cache', 'memory', redisFolder(ports.redis)])
    mkdirSync(join(home, folder), { recursive: true })
  return { root, ports, home }
}

function refuse(message: string): never {
  console.error(message)
  process.exit(1)
}

/** Two Redis servers must never write one append-only file, so each port has its own folder. */
function redisFolder(port: number): string {
  return join('redis', `${port}`)
}

function superviseService(name: ServiceName): Supervisor {
  const command = [process.execPath, 'src/main.ts'] as const
  const cwd = join(root, 'services', name)
  return supervisePart({ command, cwd, env: environment, tell: tellAs(screen, name), readable })
}

/** Provides and starts Redis, and says when it answers; the services don't wait for it. */
async function startRedis(): Promise<void> {
  const tell = tellAs(screen, 'redis')
  const { ports, home } = plan
  const dir = join(home, redisFolder(ports.redis))
  const command = await redisCommand({ port: ports.redis, dir }, thisMachine, tell)
  stopping.throwIfAborted()
  if (command === null) return tell(`${WITHOUT_REDIS}; ${HOW_TO_GET_REDIS}`)
  redis = supervisePart({ command, cwd: dir, env: process.env, tell, readable: readableRedis })
  redis.start()
  while (!(await answersPing(ports.redis))) await pause(REDIS_PING_MS, undefined, { signal: stopping })
  tell(`ready at 127.0.0.1:${ports.redis}`)
}

/** Shows how the models come up, then how to speak to the stack, and once nothing is cold any more a table of what runs. */
async function showReadiness(): Promise<void> {
  const look = () => Promise.all(SERVICES.map(viewOf))
  const tellOf = screen.isTerminal ? drawProgress : describeProgress
  const views = await untilSettled(look, (now) => screen.status(tellOf(now)), stopping)
  screen.status('')
  if (views.some(({ name, report }) => name === 'orchestrator' && report === null)) {
    showTable(views)
    return screen.line(
      'Hearth does not answer: the orchestrator keeps dying, see above. It is tried again. Ctrl-C stops.',
    )
  }
  const address = urlOf(plan.ports, 'orchestrator')
  screen.line(`\nHearth listens at ${address}. Ctrl-C stops it. Try:`)
  screen.line(`  curl -F file=@models/speech/001.wav ${address}/generate\n`)
  showTable(await untilWarm(look, stopping))
}

function showTable(views: readonly ServiceView[]): void {
  screen.line(`${[readyTable(views), ...notes(views)].join('\n')}\n`)
}

async function viewOf(name: ServiceName) {
  const report = await readReport(urlOf(plan.ports, name), stopping)
  return { name, report, isDown: report === null && (services.get(name)?.deaths ?? 0) > 1 }
}

/** In order: first who calls, then who is called, at last what both need. */
async function stop(): Promise<void> {
  screen.status('')
  screen.line('Stopping: requests under way are finished first. Ctrl-C again kills.')
  await services.get('orchestrator')?.stop()
  await Promise.all([...services.values()].map((service) => service.stop()))
  await redis?.stop()
  screen.line('Stopped.')
}

/** Redis is not killed: it ends by itself when this process does, and loses nothing. */
function kill(): void {
  for (const service of services.values()) service.kill()
}
