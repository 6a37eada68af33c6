/**
 * Redis for the native stack. It is found on PATH, else installed when the system's package manager asks no question,
 * else run through Docker, else missing: then one line says how to get it, and the stack runs without.
 */
import { connect } from 'node:net'
import { QUESTION_LIMIT_MS } from './machine.ts'
import type { Command, Machine } from './machine.ts'
import { findProgram, provideProgram } from './provide-program.ts'
import type { WantedProgram } from './provide-program.ts'

const IMAGE = 'redis:8-alpine'
const PING_LIMIT_MS = 1000

export const HOW_TO_GET_REDIS =
  'install it (apt-get install redis-server, dnf install redis, brew install redis) or start Docker'
export const WITHOUT_REDIS =
  'no Redis: the stack runs without it, but has no job queue and forgets sessions when it stops'

/** What each package manager calls it. */
const REDIS: WantedProgram = {
  title: 'Redis',
  programs: ['redis-server', 'valkey-server'],
  packages: {
    'apt-get': ['redis-server'],
    dnf: ['redis'],
    apk: ['redis'],
    pacman: ['valkey'],
    brew: ['redis'],
  },
}

/** The path of a Redis server, installed now when that needs no question; null when there is none to have. */
export const provideRedis = (machine: Machine, tell: (line: string) => void): Promise<string | null> =>
  provideProgram(REDIS, machine, tell)

/** The path of a Redis server that is installed, or null. */
export const findServer = (machine: Machine): string | null => findProgram(REDIS, machine)

/** The command that runs Redis on `port` with its data in `dir`, or null when there is no way to. */
export async function redisCommand(
  options: { port: number; dir: string },
  machine: Machine,
  tell: (line: string) => void,
): Promise<Command | null> {
  const server = await provideRedis(machine, tell)
  if (server !== null) return [server, ...serverSettings({ port: options.port, bind: '127.0.0.1', dir: options.dir })]
  const docker = machine.find('docker')
  if (docker === null || !(await machine.run([docker, 'info'], QUESTION_LIMIT_MS))) return null
  tell(`running Redis through Docker (${IMAGE})`)
  return [
    docker,
    ...dockerRun(options),
    'redis-server',
    ...serverSettings({ port: 6379, bind: '0.0.0.0', dir: '/data' }),
  ]
}

/** Everything written is kept (append-only file), and a full Redis refuses instead of forgetting: queues need both. */
function serverSettings({ port, bind, dir }: { port: number; bind: string; dir: string }): string[] {
  const place = ['--port', `${port}`, '--bind', bind, '--dir', dir, '--protected-mode', 'no']
  return [...place, '--loglevel', 'warning', '--save', '', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction']
}

function dockerRun({ port, dir }: { port: number; dir: string }): string[] {
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`
  const place = ['--publish', `127.0.0.1:${port}:6379`, '--volume', `${dir}:/data`, '--user', user]
  return ['run', '--rm', '--name', `hearth-redis-${port}`, ...place, IMAGE]
}

/** Whether a Redis answers PING on the port within a second. */
export function answersPing(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: PING_LIMIT_MS })
    const end = (answer: boolean) => {
      socket.destroy()
      done(answer)
    }
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (bytes) => end(bytes.toString().startsWith('+PONG')))
    socket.once('error', () => end(false)).once('timeout', () => end(false))
    socket.once('close', () => end(false))
  })
}
