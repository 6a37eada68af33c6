/**
 * Keeps one child process alive: starts it, hands on what it prints, restarts it with back-off when it dies, and ends it.
 *
 * The child never outlives this process, however this process ends. Each child starts through a shell that leaves a
 * watchdog behind and then becomes the child (`exec`, so the pid is the child's own). The watchdog reads from a pipe that
 * only this process holds open: the kernel closes it even after a SIGKILL, and the watchdog ends the child.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

const FIRST_RESTART_MS = 500
const LONGEST_RESTART_MS = 30_000
/** A child that lived this long starts over with the shortest back-off. */
const STABLE_MS = 60_000

const WATCHDOG = `
exec 3<&0
(
  read -r _ <&3
  seconds=0
  kill -TERM $$ || exit
  while [ $seconds -lt 40 ] && kill -0 $$; do sleep 1; seconds=$((seconds + 1)); done
  kill -KILL $$
) >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null`

export type SupervisorEvent =
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'died'; readonly cause: string; readonly restartMs: number }

export type SupervisorOptions = {
  readonly command: readonly [string, ...string[]]
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly onLine: (line: string) => void
  readonly onEvent: (event: SupervisorEvent) => void
  /** How long `stop` waits after SIGTERM before it sends SIGKILL. */
  readonly stopMs: number
  readonly now?: () => number
  /** Runs `task` after `ms`; returns what cancels it. */
  readonly setTimer?: (task: () => void, ms: number) => () => void
}

const systemTimer = (task: () => void, ms: number) => {
  const timer = setTimeout(task, ms)
  return () => clearTimeout(timer)
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #now: () => number
  readonly #setTimer: (task: () => void, ms: number) => () => void
  #child: ChildProcess | null = null
  #startedAt = 0
  #deaths = 0
  #cancelRestart: (() => void) | null = null
  #isStopping = false
  #onEnd: (() => void) | null = null

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#setTimer = options.setTimer ?? systemTimer
  }

  /** Deaths in a row, none of which was followed by a minute of life; 0 while all is well. */
  get deaths(): number {
    return this.#child !== null && this.#now() - this.#startedAt >= STABLE_MS ? 0 : this.#deaths
  }

  start(): void {
    this.#cancelRestart = null
    this.#startedAt = this.#now()
    const { command, cwd, env } = this.#options
    // Its own process group: a Ctrl-C in the terminal reaches only the parent, which then ends its children in order.
    const child = spawn('/bin/sh', ['-c', WATCHDOG, 'sh', ...command], { cwd, env, detached: true })
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', this.#options.onLine)
    child.once('error', (error) => this.#ended(error.message))
    child.once('exit', (code, signal) => this.#ended(signal ?? `exit code ${code}`))
    if (child.pid !== undefined) this.#options.onEvent({ type: 'started', pid: child.pid })
  }

  /** Ends the child for good: SIGTERM, then SIGKILL after `stopMs`. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#cancelRestart?.()
    const child = this.#child
    if (child === null) return
    await new Promise<void>((done) => {
      this.#onEnd = done
      child.kill('SIGTERM')
      this.#cancelRestart = this.#setTimer(() => child.kill('SIGKILL'), this.#options.stopMs)
    })
    this.#cancelRestart?.()
  }

  /** Ends the child at once and for good. */
  kill(): void {
    this.#isStopping = true
    this.#cancelRestart?.()
    this.#child?.kill('SIGKILL')
  }

  #ended(cause: string): void {
    if (this.#child === null) return
    this.#deaths = this.deaths
    this.#child = null
    this.#onEnd?.()
    if (this.#isStopping) return
    const restartMs = Math.min(FIRST_RESTART_MS * 2 ** this.#deaths, LONGEST_RESTART_MS)
    this.#deaths += 1
    this.#cancelRestart = this.#setTimer(() => this.start(), restartMs)
    this.#options.onEvent({ type: 'died', cause, restartMs })
  }
}
