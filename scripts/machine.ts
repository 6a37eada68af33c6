/** The machine that a script runs on: which programs it has, and running them with a limit. */
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** For programs that only answer a question. */
export const QUESTION_LIMIT_MS = 5000

export type Command = readonly [string, ...string[]]

/** What finding and installing needs of the machine. */
export type Machine = {
  readonly isRoot: boolean
  /** Full path of a program on PATH, or null. */
  find(program: string): string | null
  /** Whether the command ended well within the limit. */
  run(command: Command, limitMs: number): Promise<boolean>
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
