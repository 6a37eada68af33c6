/** Runs the commands of `npm test` and `npm run check`, and adds up what they took. */
import { spawn } from 'node:child_process'

export type Outcome = {
  readonly name: string
  readonly isGood: boolean
  readonly seconds: number
  readonly output: string
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs a command to its end; its output is shown as it comes (`show`) or kept. */
export function run(name: string, command: readonly [string, ...string[]], how: 'show' | 'keep'): Promise<Outcome> {
  const start = performance.now()
  const [program, ...parameters] = command
  const child = spawn(program, parameters, {
    stdio: ['ignore', how === 'show' ? 'inherit' : 'pipe', how === 'show' ? 'inherit' : 'pipe'],
  })
  let isInterrupted = false
  const forward = (signal: NodeJS.Signals) => {
    isInterrupted = true
    child.kill(signal)
  }
  for (const signal of SIGNALS) process.on(signal, forward)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text))
  return new Promise((done) => {
    const end = (isGood: boolean) => {
      for (const signal of SIGNALS) process.off(signal, forward)
      if (isInterrupted) process.exit(130)
      done({ name, isGood, output, seconds: (performance.now() - start) / 1000 })
    }
    child.once('error', (error) => {
      output += error.message
      end(false)
    })
    child.once('close', (code) => end(code === 0))
  })
}

/** One line for each outcome: what, well or not, seconds. */
export function summary(outcomes: readonly Outcome[]): string {
  const width = Math.max(...outcomes.map(({ name }) => name.length))
  const line = ({ name, isGood, seconds }: Outcome) =>
    `${isGood ? 'ok  ' : 'FAIL'}  ${name.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s`
  return outcomes.map(line).join('\n')
}
