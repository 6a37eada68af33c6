/**
 * What a person sees of the stack: lines that stay, and under them, on a terminal, a few status lines that are drawn anew.
 * Elsewhere (a file, a pipe) a status is printed as a line when it differs from the one before.
 */
import type { WriteStream } from 'node:tty'
import { stripVTControlCharacters } from 'node:util'

export type Screen = {
  readonly isTerminal: boolean
  /** Prints a line that stays. */
  line(text: string): void
  /** Shows where things stand, in one line or several; an empty text ends that. */
  status(text: string): void
}

const ERASE = '\r\u001B[2K'
const UP = '\u001B[1A'

export function createScreen(stream: Pick<WriteStream, 'write'> & { isTTY?: boolean; columns?: number }): Screen {
  const isTerminal = stream.isTTY === true
  let shown = ''
  /** The lines of the status, as they stand on the terminal. */
  let drawn: readonly string[] = []
  const erase = () => drawn.map(() => ERASE).join(UP) || ERASE
  const draw = () => {
    drawn = shown === '' ? [] : shown.split('\n').map((line) => line.slice(0, (stream.columns ?? 80) - 1))
    if (drawn.length > 0) stream.write(drawn.join('\n'))
  }
  return {
    isTerminal,
    line: (text) => {
      stream.write(isTerminal && drawn.length > 0 ? `${erase()}${text}\n` : `${text}\n`)
      if (isTerminal) draw()
    },
    status: (text) => {
      const next = stripVTControlCharacters(text)
      if (next === shown) return
      if (isTerminal) stream.write(erase())
      else if (next !== '') stream.write(`${next}\n`)
      shown = next
      if (isTerminal) draw()
    },
  }
}
