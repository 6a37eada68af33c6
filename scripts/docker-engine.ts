/**
 * A Docker engine for the tests of the compose file: the lab beside the clone, where there is one (it brings engine, compose and stand-ins
 * for images that can't be pulled), else what this machine has, if the images can be had.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { keep } from './run.ts'
import type { Command } from './run.ts'

/** Runs a command; null when it ended well, else what it said. */
type Run = (command: Command) => Promise<string | null>

export type Engine =
  | { readonly kind: 'ready'; readonly told: string; readonly close: () => Promise<void> }
  /** There is none, and that is no fault. */
  | { readonly kind: 'none'; readonly told: string }
  /** There should be one. */
  | { readonly kind: 'broken'; readonly told: string }

const BASE_IMAGE = 'node:24-trixie-slim'
/** Not all of them have to be there: nothing but Grafana's own page needs Grafana. */
const EVERYTHING_TESTED = ['redis', 'chroma', 'ollama', 'caddy', 'prometheus']
const ALL_PROFILES = ['--profile', 'https', '--profile', 'observability'] as const

export const labBeside = (root: string): string => join(root, '..', 'shared', 'lab', 'docker-lab')

/** Finds or starts one. `close` leaves the machine as it was. */
export async function provideEngine(lab: string, run: Run = runQuietly, exists = existsSync): Promise<Engine> {
  const isThere = (await run(['docker', 'info'])) === null
  if (exists(lab)) return startLab(lab, isThere, run)
  if (!isThere || (await run(['docker', 'compose', 'version'])) !== null)
    return { kind: 'none', told: 'neither the lab beside the clone nor a Docker engine with Compose is here' }
  const missing = await pull(run)
  if (missing !== null)
    return { kind: 'none', told: `the Docker engine here can't have the images: ${lastLine(missing)}` }
  return { kind: 'ready', told: 'the Docker engine of this machine', close: async () => {} }
}

async function startLab(lab: string, wasRunning: boolean, run: Run): Promise<Engine> {
  const problem = await run([lab, 'up'])
  if (problem !== null) return { kind: 'broken', told: `the lab beside the clone does not start: ${lastLine(problem)}` }
  const close = async () => void (wasRunning || (await run([lab, 'clean'])))
  return { kind: 'ready', told: 'the lab beside the clone', close }
}

async function pull(run: Run): Promise<string | null> {
  const images = ['docker', 'compose', ...ALL_PROFILES, 'pull', '--policy', 'missing', ...EVERYTHING_TESTED] as const
  const problem = await run(images)
  if (problem !== null) return problem
  return (await run(['docker', 'image', 'inspect', BASE_IMAGE])) === null ? null : run(['docker', 'pull', BASE_IMAGE])
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''

async function runQuietly(command: Command): Promise<string | null> {
  const { isGood, output } = await keep(command[0], command)
  return isGood ? null : output
}
