/** The parts of the native stack: which program each one is, and the settings that make them find each other. */
import { join, resolve } from 'node:path'
import { styleText } from 'node:util'
import type { PartName, StackPorts } from './ports.ts'
import { Supervisor } from './supervisor.ts'
import type { Command } from './machine.ts'
import type { Screen } from './screen.ts'

export const SERVICES = ['orchestrator', 'stt', 'tts', 'embeddings'] as const
export type ServiceName = (typeof SERVICES)[number]

/** A service drains for up to 30 s; then its own limit has failed. */
const STOP_MS = 35_000
const COLOURS = { orchestrator: 'green', stt: 'cyan', tts: 'magenta', embeddings: 'yellow', redis: 'red' } as const
const NAME_WIDTH = Math.max(...SERVICES.map((name) => name.length))

export type StackPlan = {
  readonly root: string
  readonly ports: StackPorts
  /** Absolute path of the data folder: `hf-cache/`, `redis/`, `memory/`, `compile-cache/`. */
  readonly home: string
}

/** Where the stack keeps its data unless HEARTH_HOME says otherwise. */
export const dataFolder = (root: string, outside: NodeJS.ProcessEnv): string =>
  resolve(outside['HEARTH_HOME'] || join(root, 'volumes'))

export const urlOf = (ports: StackPorts, name: ServiceName) => `http://127.0.0.1:${ports[name]}`

/**
 * For glibc's allocator: blocks of half a MiB and more come from the system and go back when they are freed. Left to itself it raises that
 * limit to 32 MiB as it goes, keeps what a model took, and grows with each one that is loaded (docs/decisions/0018).
 */
export const ALLOCATOR = { MALLOC_MMAP_THRESHOLD_: '524288', MALLOC_TRIM_THRESHOLD_: '524288' } as const

/** The settings of every service; they win over what the environment says, because the ports follow from `HEARTH_PORT`. */
export function stackEnvironment({ ports, home }: StackPlan, outside: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...ALLOCATOR,
    ...outside,
    HEARTH_HOME: home,
    HF_HOME: outside['HF_HOME'] || join(home, 'hf-cache'),
    NODE_COMPILE_CACHE: outside['NODE_COMPILE_CACHE'] || join(home, 'compile-cache'),
    ORCHESTRATOR_PORT: `${ports.orchestrator}`,
    STT_PORT: `${ports.stt}`,
    TTS_PORT: `${ports.tts}`,
    EMBEDDINGS_PORT: `${ports.embeddings}`,
    STT_URL: urlOf(ports, 'stt'),
    TTS_URL: urlOf(ports, 'tts'),
    EMBEDDINGS_URL: urlOf(ports, 'embeddings'),
    REDIS_URL: `redis://127.0.0.1:${ports.redis}`,
  }
}

/** Prints a part's line after its name, in the part's colour. */
export function tellAs(screen: Screen, part: PartName): (line: string) => void {
  const prefix = styleText(COLOURS[part], `${part.padEnd(NAME_WIDTH)} |`)
  return (line) => screen.line(`${prefix} ${line}`)
}

/** A part of the stack under supervision, not started yet; its output, deaths and restarts are told on the screen. */
export function supervisePart(options: {
  command: Command
  cwd: string
  env: NodeJS.ProcessEnv
  tell: (line: string) => void
  /** What to show of a line of its output; null for nothing. */
  readable: (line: string) => string | null
}): Supervisor {
  const { command, cwd, env, tell, readable } = options
  return new Supervisor({
    command,
    cwd,
    env,
    stopMs: STOP_MS,
    onLine: (line) => {
      const shown = readable(line)
      if (shown !== null) tell(shown)
    },
    onEvent: (event) => {
      if (event.type === 'started') tell(`started, pid ${event.pid}`)
      else tell(styleText('red', `died (${event.cause}), starts again in ${event.restartMs / 1000} s`))
    },
  })
}
