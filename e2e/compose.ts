/**
 * The real compose file for a test: built from the real Dockerfile, under a project name and on a port of its own, without anybody's `.env`.
 * Needs a Docker engine; scripts/compose-tests.ts looks for one.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import * as z from 'zod'
import { ROOT, untilTrue } from './until-true.ts'

const COMMAND_LIMIT_MS = 240_000
/** Each look costs a fifth of a second of processor time. */
const POLL_MS = 500
const MAX_OUTPUT_BYTES = 64 * 2 ** 20

const execute = promisify(execFile)

/** What a command printed. Throws with all of it when the command fails. */
export async function docker(parameters: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const limits = { timeout: COMMAND_LIMIT_MS, maxBuffer: MAX_OUTPUT_BYTES }
  const { stdout } = await execute('docker', [...parameters], { cwd: ROOT, env, ...limits })
  return stripVTControlCharacters(stdout)
}

const Container = z.object({
  ID: z.string(),
  Name: z.string(),
  Service: z.string(),
  State: z.string(),
  Health: z.string(),
  ExitCode: z.number(),
  Publishers: z.array(z.object({ URL: z.string(), PublishedPort: z.number() })).nullable(),
})
export type Container = z.infer<typeof Container>

/** A one-shot: it is done when it has ended well. */
const PULL = 'ollama-pull'
export const SERVICES = ['orchestrator', 'stt', 'tts', 'embeddings', 'redis', 'chroma', 'ollama'] as const

export type ComposeOptions = {
  /** As in `.env`. */
  readonly settings?: Readonly<Record<string, string>>
  /** More compose files, by their content. */
  readonly overrides?: readonly object[]
  /** Only these services and what they depend on; all when left out. */
  readonly only?: readonly string[]
}

export type Compose = {
  readonly project: string
  /** The orchestrator's, as published. */
  readonly url: string
  /** `docker compose ...` of this project; what it printed. */
  run(...parameters: string[]): Promise<string>
  /** Brings up what should be there, with these options, and waits until all of it is healthy. */
  up(...parameters: string[]): Promise<void>
  containers(service?: string): Promise<Container[]>
  untilHealthy(): Promise<void>
  /** With its volumes. */
  remove(): Promise<void>
}

/** Writes the project's files and gives it; nothing runs until `up`. */
export async function composeProject({
  settings = {},
  overrides = [],
  only = [],
}: ComposeOptions = {}): Promise<Compose> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-compose-'))
  const project = `hearth-test-${randomBytes(4).toString('hex')}`
  const port = await freePort()
  const envFile = join(folder, 'settings.env')
  await writeFile(envFile, lines({ ...settings, HEARTH_PORT: `${port}`, HEARTH_ENV_FILE: envFile }))
  const files = ['docker-compose.yml', ...(await writeOverrides(folder, overrides))]
  const common = [
    'compose',
    '-p',
    project,
    '--env-file',
    envFile,
    '--progress',
    'quiet',
    ...files.flatMap((file) => ['-f', file]),
  ]
  const run = (...parameters: string[]) => docker([...common, ...parameters], cleanEnvironment())

  async function containers(service?: string): Promise<Container[]> {
    const rows = (await run('ps', '--all', '--format', 'json')).split('\n').filter(Boolean)
    return rows.map((row) => Container.parse(JSON.parse(row))).filter((one) => !service || one.Service === service)
  }

  const untilHealthy = () => untilTrue(async () => (await containers()).every(isFine), POLL_MS)

  /** What is not as it should be, and its last words. */
  async function state(): Promise<string> {
    const bad = (await containers()).filter((one) => !isFine(one))
    const logs = await Promise.all(bad.map(({ Service }) => run('logs', '--no-color', '--tail', '5', Service)))
    return bad.map(({ Name, State, Health }, at) => `${Name} ${State} ${Health}\n${logs[at] ?? ''}`).join('\n')
  }

  return {
    project,
    url: `http://127.0.0.1:${port}`,
    run,
    containers,
    untilHealthy,
    async up(...parameters) {
      await run('up', '--detach', '--build', ...parameters, ...only)
      await untilHealthy().catch(async (cause: unknown) => {
        throw new Error(`not healthy: ${await state()}`, { cause })
      })
    },
    async remove() {
      await run('--profile', '*', 'down', '--volumes', '--timeout', '40')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const isFine = ({ Service, State, Health, ExitCode }: Container): boolean =>
  Service === PULL ? State === 'exited' && ExitCode === 0 : State === 'running' && Health === 'healthy'

const lines = (settings: Readonly<Record<string, string>>): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')

/** JSON is YAML. */
async function writeOverrides(folder: string, overrides: readonly object[]): Promise<string[]> {
  const files = overrides.map((content, index) => ({ path: join(folder, `override-${index}.yml`), content }))
  for (const { path, content } of files) await writeFile(path, JSON.stringify(content))
  return files.map(({ path }) => path)
}

/** Compose would take settings from here too. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => /^(PATH|HOME|DOCKER_\w+|BUILD\w+|LANG)$/.test(name))
  return { ...Object.fromEntries(kept), DOCKER_CLI_HINTS: 'false' }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  return address.port
}
