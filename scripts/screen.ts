/**
 * What a person sees of the stack: lines that stay, and under them, on a terminal, one status line that is drawn anew.
 * Elsewhere (a file, a pipe) a status is printed as a line when it differs from the one before.
 */
import type { WriteStream } from 'node:tty'
import { stripVTControlCharacters } from 'node:util'

export type Screen = {
  readonly isTerminal: boolean
  /** Prints a line that stays. */
  line(text: string): void
  /** Shows where things stand; an empty text ends the status line. */
  status(text: string): void
}

const ERASE = '\r\u001B[2K'

export function createScreen(stream: Pick<WriteStream, 'write'> & { isTTY?: boolean; columns?: number }): Screen {
  const isTerminal = stream.isTTY === true
  let shown = ''
  const draw = () => {
    if (shown !== '') stream.write(shown.slice(0, (stream.columns ?? 80) - 1))
  }
  return {
    isTerminal,
    line: (text) => {
      stream.write(isTerminal && shown !== '' ? `${ERASE}${text}\n` : `${text}\n`)
      if (isTerminal) draw()
    },
    status: (text) => {
      const next = stripVTControlCharacters(text)
      if (next === shown) return
      if (isTerminal) stream.write(ERASE)
      else if (next !== '') stream.write(`${next}\n`)
      shown = next
      if (isTerminal) draw()
    },
  }
}
