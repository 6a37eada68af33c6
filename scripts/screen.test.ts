import { expect, test } from 'vitest'
import { createScreen } from './screen.ts'

function screenOf(options: { isTTY: boolean; columns?: number }) {
  let written = ''
  const screen = createScreen({
    ...options,
    write: (text: string | Uint8Array) => {
      written += String(text)
      return true
    },
  })
  return { screen, written: () => written }
}

const ERASE = '\r\u001B[2K'

test('on a terminal a line goes above the status, which is drawn again', () => {
  const { screen, written } = screenOf({ isTTY: true, columns: 80 })
  screen.status('loading')
  screen.line('a log line')
  screen.status('')
  expect(written()).toBe(`${ERASE}loading${ERASE}a log line\nloading${ERASE}`)
})

test('on a terminal a status of several lines is erased line by line, upwards', () => {
  const { screen, written } = screenOf({ isTTY: true, columns: 80 })
  screen.status('one\ntwo')
  screen.line('a log line')
  screen.status('three')
  screen.status('')
  const both = `${ERASE}\u001B[1A${ERASE}`
  expect(written()).toBe(`${ERASE}one\ntwo${both}a log line\none\ntwo${both}three${ERASE}`)
})

test('on a terminal a status never wraps, so that it can be erased', () => {
  const { screen, written } = screenOf({ isTTY: true, columns: 11 })
  screen.status('0123456789abcdef')
  expect(written()).toBe(`${ERASE}0123456789`)
})

test('elsewhere a status is a line, printed once for each change, without control characters', () => {
  const { screen, written } = screenOf({ isTTY: false })
  screen.status('loading')
  screen.status('loading')
  screen.line('a log line')
  screen.status('ready')
  screen.status('')
  expect(written()).toBe('loading\na log line\nready\n')
})
