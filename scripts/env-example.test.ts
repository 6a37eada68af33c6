/** `.env.example` against what reads it: the schemas of all services, and the compose file. */
import { readConfig, variable } from '@hearth/shared/config'
import { describe, expect, test } from 'vitest'
import * as embeddings from '../services/embeddings/src/config.ts'
import * as orchestrator from '../services/orchestrator/src/config.ts'
import * as stt from '../services/stt/src/config.ts'
import * as tts from '../services/tts/src/config.ts'
import { read, readComposeFile } from './compose-file.ts'

const SCHEMAS = {
  embeddings: embeddings.SECTIONS,
  orchestrator: orchestrator.SECTIONS,
  stt: stt.SECTIONS,
  tts: tts.SECTIONS,
}
const services = Object.entries(SCHEMAS)
const { services: composed } = readComposeFile()

const LINE = /^# ([A-Z][A-Z0-9_]*)=(.*?) {2}# (.+)$/
const lines = read('.env.example')
  .split('\n')
  .filter((line) => /^# [A-Z][A-Z0-9_]*=/.test(line))
const examples = new Map(lines.map((line) => [LINE.exec(line)?.[1] ?? line, LINE.exec(line)?.[2] ?? '']))

const variablesOf = (sections: (typeof SCHEMAS)[keyof typeof SCHEMAS]): string[] =>
  Object.entries(sections).flatMap(([section, schema]) =>
    Object.keys(schema.shape).map((key) => variable(section, key)),
  )
const known = new Set(services.flatMap(([, sections]) => variablesOf(sections)))
/** `${NAME:-default}` anywhere in the compose file. */
const interpolated = new Map(
  [...read('docker-compose.yml').matchAll(/\$\{([A-Z_]+):-([^}]*)\}/g)].map(([, name = '', value = '']) => [
    name,
    value,
  ]),
)
const isFixed = (service: string, name: string): boolean => {
  const value = composed[service]?.environment[name]
  return value !== undefined && value !== '' && !String(value).startsWith('${')
}

describe('.env.example', () => {
  test('has each variable once, in one line with its default and what it is for', () => {
    for (const line of lines) expect(line).toMatch(LINE)
    expect(examples.size).toBe(lines.length)
  })

  test.each(services)('has every setting of %s that the compose file does not fix', (service, sections) => {
    const missing = variablesOf(sections).filter((name) => !examples.has(name) && !isFixed(service, name))
    expect(missing).toEqual([])
  })

  test('has no variable that nobody reads', () => {
    expect([...examples.keys()].filter((name) => !known.has(name) && !interpolated.has(name))).toEqual([])
  })

  test('has every variable that the compose file asks for, with the same default', () => {
    expect([...interpolated].filter(([name, value]) => examples.get(name) !== value)).toEqual([])
  })

  test.each(services)('says the defaults of %s', (_service, sections) => {
    const own = variablesOf(sections).filter((name) => examples.has(name) && !interpolated.has(name))
    const set = Object.fromEntries(own.map((name) => [name, examples.get(name)]))
    expect(readConfig(sections, set)).toEqual(readConfig(sections, {}))
  })
})

/** Emptied for those that have no business with them. */
const SECRETS = ['HEARTH_API_KEY', 'LLM_API_KEY', 'SPOOL_S3_SECRET', 'WEBHOOK_SECRET']

test('the compose file sets nothing that its services do not read', () => {
  for (const [service, sections] of services) {
    const theirs = new Set([...variablesOf(sections), ...SECRETS])
    expect(Object.keys(composed[service]?.environment ?? {}).filter((name) => !theirs.has(name))).toEqual([])
  }
})
