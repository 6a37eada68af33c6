/**
 * The end of a process, for certain. `process.exit` waits for every thread and for the last lines of the log, and either can take for ever: native
 * code that is cut short while it makes a session, a log whose reader is gone (docs/decisions/0020).
 */
import { spawn } from 'node:child_process'

/** An exit takes tens of milliseconds, on a machine with much else to do a second. */
const LEAVE_MS = 5000

/** The end of the process closes the watchdog's input, and that ends the wait; a wait that comes to its own end is followed by the kill. */
const WATCHDOG = 'exec 3<&0; sleep "$1" & s=$!; (read -r _ <&3; kill $s) & wait $s && kill -KILL "$2"'

/** Ends this process: with `code`, or hard if it has not ended after 5 s, whatever its threads do by then. */
export function leave(code: number, limitMs = LEAVE_MS): void {
  watch(limitMs)
  process.exit(code)
}

/**
 * Ends this process with `code` whatever its threads do: it becomes a program that only ends, and the system drops the threads. `process.exit` cuts them short
 * one by one instead, and native code that is making a session then ends the process with an abort. What waits to be logged is lost.
 */
export function leaveAtOnce(code: number): void {
  const { execPath } = process
  if (process.platform === 'win32' || !process.execve) leave(code)
  else process.execve(execPath, [execPath, '-e', `process.exit(${code})`], {})
}

/** In a process of its own, because nothing in this one can be relied on any more. Where there is no shell, there is no watchdog. */
function watch(limitMs: number): void {
  const args = ['-c', WATCHDOG, 'sh', `${limitMs / 1000}`, `${process.pid}`]
  const watchdog = spawn('/bin/sh', args, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  watchdog.on('error', () => undefined)
}
