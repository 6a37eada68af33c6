import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { readable, readableRedis } from './log-line.ts'

const plain = (line: string) => stripVTControlCharacters(readable(line))

test('a log entry becomes level, message and its fields', () => {
  const entry = {
    level: 30,
    time: 1,
    pid: 2,
    hostname: 'h',
    service: 'stt',
    msg: 'ready',
    model: 'demo/whisper',
    loadMs: 81.2,
  }
  expect(plain(JSON.stringify(entry))).toBe('info ready model=demo/whisper loadMs=81.2')
})

test('an error shows its message, not its stack', () => {
  const entry = { level: 50, msg: 'load failed', err: { type: 'Error', message: 'no such file', stack: 'at x' } }
  expect(plain(JSON.stringify(entry))).toBe('error load failed no such file')
})

test('nested fields are left out and long values cut', () => {
  const entry = { level: 40, msg: 'odd', config: { a: 1 }, token: 'x'.repeat(500) }
  expect(plain(JSON.stringify(entry))).toBe(`warn odd token=${'x'.repeat(80)}...`)
})

test.each(['plain words', '{ not json', '{"level"', '[1,2]', '{"answer":42}', ''])('%j passes unchanged', (line) => {
  expect(plain(line)).toBe(line)
})

test('Redis is quoted in one sentence, without process number and date', () => {
  const head = '4242:M 21 Nov 2026 11:22:33.456'
  const warning = `${head} # WARNING Memory overcommit must be enabled! Without it, a background save may fail.`
  expect(readableRedis(warning)).toBe('WARNING Memory overcommit must be enabled!')
  expect(readableRedis(`${head} # Bad file format reading the append only file`)).toBe(
    'Bad file format reading the append only file',
  )
})

test('what Redis says at every start and end is left out', () => {
  expect(readableRedis('4242:M 21 Nov 2026 11:22:33.456 # Server initialized')).toBeNull()
  expect(readableRedis('4242:C 21 Nov 2026 11:22:33.456 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo')).toBeNull()
  expect(readableRedis('4242:signal-handler (1795261020) Received SIGTERM scheduling shutdown...')).toBeNull()
})
