/** Runs the commands of `npm test` and `npm run check`, and adds up what they took. */
import { spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type Command = readonly [string, ...string[]]
export type Outcome = {
  readonly name: string
  readonly isGood: boolean
  readonly seconds: number
  readonly output: string
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs a command to its end and shows its output as it comes. */
export async function show(name: string, command: Command): Promise<Outcome> {
  const start = performance.now()
  const problem = await end(command, 'inherit')
  return { name, isGood: problem === null, output: problem ?? '', seconds: secondsSince(start) }
}

/** Runs a command to its end and keeps its output: in a file, because a full pipe makes oxlint panic. */
export async function keep(name: string, command: Command): Promise<Outcome> {
  const start = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'hearth-run-'))
  const path = join(folder, 'output')
  const file = openSync(path, 'a')
  const problem = await end(command, file)
  closeSync(file)
  const output = readFileSync(path, 'utf8') + (problem ?? '')
  rmSync(folder, { recursive: true })
  return { name, isGood: problem === null, output, seconds: secondsSince(start) }
}

const secondsSince = (start: number) => (performance.now() - start) / 1000

/** Null when the command ended well, else how it ended. A signal that ends this process ends the command first. */
function end([program, ...parameters]: Command, output: 'inherit' | number): Promise<string | null> {
  const child = spawn(program, parameters, { stdio: ['ignore', output, output] })
  let isInterrupted = false
  const forward = (signal: NodeJS.Signals) => {
    isInterrupted = true
    child.kill(signal)
  }
  for (const signal of SIGNALS) process.on(signal, forward)
  return new Promise((done) => {
    const finish = (problem: string | null) => {
      for (const signal of SIGNALS) process.off(signal, forward)
      if (isInterrupted) process.exit(130)
      done(problem)
    }
    child.once('error', (error) => finish(error.message))
    child.once('exit', (code, signal) => finish(code === 0 ? null : `ended by ${signal ?? `exit code ${code}`}\n`))
  })
}

/** One line for each outcome: what, well or not, seconds. */
export function summary(outcomes: readonly Outcome[]): string {
  const width = Math.max(...outcomes.map(({ name }) => name.length))
  const line = ({ name, isGood, seconds }: Outcome) =>
    `${isGood ? 'ok  ' : 'FAIL'}  ${name.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s`
  return outcomes.map(line).join('\n')
}
