import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { bool, describeConfig, int, list, number, port, readConfig, secret, text, url } from './config.ts'

const sections = {
  stt: z.object({
    port: port().default(8081),
    maxBatchSize: int({ min: 1, max: 64 }).default(4),
    isFitted: bool().default(true),
    modelDir: text().optional(),
  }),
  hf: z.object({ endpoint: url().default('https://huggingface.co'), token: secret().optional() }),
}

test('defaults hold where nothing is set, and empty counts as nothing', () => {
  expect(readConfig(sections, { STT_PORT: '' })).toEqual({
    stt: { port: 8081, maxBatchSize: 4, isFitted: true },
    hf: { endpoint: 'https://huggingface.co' },
  })
})

test('variables are named after section and key; the nested form wins', () => {
  const config = readConfig(sections, {
    STT_MAX_BATCH_SIZE: '8',
    STT_IS_FITTED: 'no',
    HEARTH_STT__PORT: '9',
    STT_PORT: '7',
    HF_ENDPOINT: 'http://hub/',
  })
  expect(config.stt).toMatchObject({ maxBatchSize: 8, isFitted: false, port: 9 })
  expect(config.hf.endpoint).toBe('http://hub')
})

test('every problem is told at once: the variable, what was expected, what came, but never a secret', () => {
  const strict = { hf: z.object({ token: secret({ minLength: 20 }).optional() }), stt: sections.stt }
  let message = ''
  try {
    readConfig(strict, { STT_PORT: '99999', STT_MAX_BATCH_SIZE: 'four', HF_TOKEN: 'hunter2' })
  } catch (error) {
    message = String(error)
  }
  expect(message).toContain('STT_PORT: ')
  expect(message).toContain('got "99999"')
  expect(message).toContain('STT_MAX_BATCH_SIZE: ')
  expect(message).toContain('HF_TOKEN: ')
  expect(message).not.toContain('hunter2')
})

test('a secret may come from a file, and a file that is missing is a problem', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'hearth-')), 'token')
  writeFileSync(file, 'hunter2\n')
  expect(readConfig(sections, { HF_TOKEN_FILE: file }).hf.token?.reveal()).toBe('hunter2')
  expect(() => readConfig(sections, { HF_TOKEN_FILE: `${file}.none` })).toThrow('HF_TOKEN_FILE')
})

test('a secret prints as redacted wherever it goes', () => {
  const config = readConfig(sections, { HF_TOKEN: 'hunter2' })
  const { token } = config.hf
  for (const printed of [
    String(token),
    JSON.stringify({ token }),
    inspect({ token }),
    JSON.stringify(describeConfig(config)),
  ])
    expect(printed).toContain('[redacted]')
  expect(describeConfig(config)).toMatchObject({ STT_PORT: '8081', HF_TOKEN: '[redacted]' })
})

test.each(['0x10', ' ', '1e3', 'Infinity', '4.5', '-1', '65', 'four', '4 '])(
  '%j is not an integer from 1 to 64',
  (given) => {
    expect(() => readConfig(sections, { STT_MAX_BATCH_SIZE: given })).toThrow(
      `STT_MAX_BATCH_SIZE: expected an integer from 1 to 64, got ${JSON.stringify(given)}`,
    )
  },
)

test('a number may have decimals, and must be there when it has no default', () => {
  const memory = { memory: z.object({ minScore: number({ min: 0, max: 1 }) }) }
  expect(readConfig(memory, { MEMORY_MIN_SCORE: '0.35' })).toEqual({ memory: { minScore: 0.35 } })
  expect(() => readConfig(memory, {})).toThrow('MEMORY_MIN_SCORE: expected a number from 0 to 1, got nothing')
})

test('a rule about a whole section names the section', () => {
  const strict = { stt: sections.stt.refine(() => false, 'expected another port') }
  expect(() => readConfig(strict, {})).toThrow('STT_*: expected another port')
})

test('a secret file may be named in the nested form too', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'hearth-')), 'token')
  writeFileSync(file, 'hunter2')
  expect(readConfig(sections, { HEARTH_HF__TOKEN_FILE: file, HF_TOKEN_FILE: '/nowhere' }).hf.token?.reveal()).toBe(
    'hunter2',
  )
})

test('a password inside an address is not printed', () => {
  const config = { redis: { url: 'redis://user:hunter2@host:6379/0' } }
  expect(describeConfig(config)).toEqual({ REDIS_URL: 'redis://[redacted]@host:6379/0' })
  const strict = { stt: z.object({ url: url() }) }
  expect(() => readConfig(strict, { STT_URL: 'ftp://user:hunter2@host' })).toThrow('got "ftp://[redacted]@host"')
})

test('a list is separated by commas', () => {
  const schema = { hearth: z.object({ allowedOrigins: list().default([]) }) }
  expect(
    readConfig(schema, { HEARTH_ALLOWED_ORIGINS: 'https://a.example, https://b.example,' }).hearth.allowedOrigins,
  ).toEqual(['https://a.example', 'https://b.example'])
  expect(readConfig(schema, {}).hearth.allowedOrigins).toEqual([])
})
