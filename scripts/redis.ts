/**
 * Redis for the native stack. It is found on PATH, else installed when the system's package manager asks no question,
 * else run through Docker, else missing: then one line says how to get it, and the stack runs without.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'

const PROGRAMS = ['redis-server', 'valkey-server']
const IMAGE = 'redis:8-alpine'
const INSTALL_LIMIT_MS = 180_000
const QUESTION_LIMIT_MS = 5000
const PING_LIMIT_MS = 1000

/** Package managers in the order they are looked for. Homebrew refuses to run as root, the others need to. */
const INSTALLERS = [
  { program: 'apt-get', install: ['install', '-y', '--no-install-recommends', 'redis-server'], refresh: ['update'] },
  { program: 'dnf', install: ['install', '-y', 'redis'] },
  { program: 'apk', install: ['add', 'redis'] },
  { program: 'pacman', install: ['-S', '--noconfirm', '--needed', 'valkey'] },
  { program: 'brew', install: ['install', 'redis'], asUser: true },
]
type Installer = { program: string; install: string[]; refresh?: string[]; asUser?: boolean }

export const HOW_TO_GET_REDIS =
  'no Redis: install it (apt-get install redis-server, dnf install redis, brew install redis) or start Docker; ' +
  'the stack runs without it, but has no job queue and forgets sessions when it stops'

export type Command = readonly [string, ...string[]]

/** What finding and installing needs of the machine. */
export type Machine = {
  readonly isRoot: boolean
  /** Full path of a program on PATH, or null. */
  find(program: string): string | null
  /** Whether the command ended well within the limit. */
  run(command: Command, limitMs: number): Promise<boolean>
}

/** The path of a Redis server, installed now when that needs no question; null when there is none to have. */
export async function provideRedis(machine: Machine, tell: (line: string) => void): Promise<string | null> {
  const found = findServer(machine)
  if (found !== null) return found
  const installer = INSTALLERS.find(({ program }) => machine.find(program) !== null)
  const asRoot = installer && (await rootPrefix(machine, installer))
  if (!installer || !asRoot) return null
  tell(`installing Redis with ${installer.program}`)
  if (!(await install(machine, installer, asRoot))) tell(`${installer.program} could not install Redis`)
  return findServer(machine)
}

/** The path of a Redis server that is installed, or null. */
export function findServer(machine: Machine): string | null {
  return PROGRAMS.map((program) => machine.find(program)).find((path) => path !== null) ?? null
}

/** What to write before the installer's command, or null when it would ask for a password. */
async function rootPrefix(machine: Machine, installer: Installer): Promise<string[] | null> {
  if (installer.asUser) return machine.isRoot ? null : []
  if (machine.isRoot) return ['env']
  const isFree = machine.find('sudo') !== null && (await machine.run(['sudo', '-n', 'true'], QUESTION_LIMIT_MS))
  return isFree ? ['sudo', '-n', 'env'] : null
}

async function install(machine: Machine, installer: Installer, asRoot: string[]): Promise<boolean> {
  // Debian asks questions unless told not to, and at run level 1 it doesn't start its own Redis service.
  const settings = installer.asUser ? [] : ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']
  const run = (parameters: string[]) => {
    const [program = '', ...rest] = [...asRoot, ...settings, installer.program, ...parameters]
    return machine.run([program, ...rest], INSTALL_LIMIT_MS)
  }
  if (await run(installer.install)) return true
  // A fresh image has no package lists yet.
  return installer.refresh !== undefined && (await run(installer.refresh)) && run(installer.install)
}

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

/** This machine, as the process sees it. */
export const thisMachine: Machine = {
  isRoot: process.getuid?.() === 0,
  find: findOnPath,
  run: ([program, ...parameters], limitMs) =>
    new Promise((done) => {
      const child = execFile(program, parameters, { timeout: limitMs, maxBuffer: 64 * 2 ** 20 }, (error) =>
        done(!error),
      )
      child.stdin?.end()
    }),
}

function findOnPath(program: string): string | null {
  // Servers live in sbin on some systems, and Homebrew's folder is not on every PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin']
  const paths = folders.filter((folder) => folder !== '').map((folder) => join(folder, program))
  return paths.find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
