import { ERROR_CODES } from '@hearth/shared/errors'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { createOrchestratorApp } from '../app.ts'
import { Sessions } from '../sessions.ts'
import { createMemoryBook } from '../stages/memory-book.ts'
import { openMemory } from '../stages/memory-sqlite.ts'
import { fakeStages } from '../testing/fake-stages.ts'
import { openApi, THEMES } from './document.ts'

const document = openApi('1.2.3')
const operations = THEMES.flatMap((theme) => theme.operations)

function registeredRoutes(): string[] {
  const app = createOrchestratorApp({
    version: '1.2.3',
    stages: fakeStages().stages,
    sessions: new Sessions({ maxSessions: 1, maxTurns: 1, idleMs: 1, maxWaiting: 0 }),
    memory: createMemoryBook({
      store: openMemory(':memory:'),
      embedder: { embed: () => Promise.reject(new Error('no')) },
    }),
    models: () => [],
    services: { stt: 'http://127.0.0.1:1', tts: 'http://127.0.0.1:1', embeddings: 'http://127.0.0.1:1' },
    isDraining: () => false,
    instructions: '',
    maxUploadBytes: 1,
    maxTextChars: 1,
    maxTurns: 1,
    turnLimitMs: 1,
    log: createLogger({ service: 'orchestrator', level: 'silent' }),
    metrics: createMetrics('orchestrator'),
  })
  return app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(?:\{[^}]*\})?/g, '{$1}')}`)
}

describe('the document', () => {
  test('is OpenAPI 3.1, as a validator reads it', async () => {
    const validator = new Validator()
    expect(await validator.validate(structuredClone(document))).toMatchObject({ valid: true })
    expect(validator.version).toBe('3.1')
  })

  test('has every route of the app, and no other', () => {
    // Bull Board's own pages are there only with a queue; /queues stands for them all.
    const described = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`)
    expect(described.filter((route) => route !== 'GET /queues').toSorted()).toEqual(registeredRoutes().toSorted())
  })

  test('has a schema wherever it points at one', () => {
    const names = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)]
    expect(names.length).toBeGreaterThan(10)
    for (const [, name = ''] of names) expect(Object.keys(document.components.schemas)).toContain(name)
  })

  test('tells every error code with its status', () => {
    const { Error: error } = document.components.schemas
    for (const [code, { status }] of Object.entries(ERROR_CODES))
      expect(error?.description).toMatch(new RegExp(`\\| ${status} \\|.*\`${code}\``))
    expect(JSON.stringify(error)).toContain(JSON.stringify(Object.keys(ERROR_CODES)))
  })

  test('names each operation once, and each parameter of its path', () => {
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length)
    for (const { path, parameters = {} } of operations)
      expect(Object.keys(parameters)).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))
  })

  test('asks for the key everywhere but where it is open', () => {
    const open = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods)
        .filter(({ security }) => security)
        .map(({ operationId }) => operationId),
    )
    expect(document.security).toEqual([{ key: [] }])
    expect(open.toSorted()).toEqual(['health', 'listSpeechModels', 'listVoices', 'pageFile', 'ready', 'welcome'])
  })
})

describe('a schema', () => {
  const bodyOf = (path: string, type: string) => {
    const schema = document.paths[path]?.['post']?.requestBody?.content[type]?.schema ?? {}
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    return ajv.compile({ ...schema, components: document.components })
  }

  test('takes and refuses what the code does', () => {
    const chat = bodyOf('/v1/chat/completions', 'application/json')
    const said = (message: object) => chat({ messages: [message] })
    expect(said({ role: 'user', content: 'Hello.' })).toBe(true)
    expect(said({ role: 'user', content: [{ type: 'text', text: 'Hello.' }] })).toBe(true)
    expect(said({ role: 'assistant', audio: { id: 'audio_1' } })).toBe(true)
    expect(said({ role: 'user', content: 7 })).toBe(false)
    expect(said({ content: 'Hello.' })).toBe(false)
    const generate = bodyOf('/generate', 'application/json')
    expect(generate({ text: 'Hello.', temperature: 2 })).toBe(true)
    expect(generate({ text: 'Hello.', temperature: 3 })).toBe(false)
    expect(generate({ text: 'Hello.', colour: 'red' })).toBe(false)
  })

  test('doesn’t ask for a field that has a value of its own', () => {
    const speech = bodyOf('/v1/audio/speech', 'application/json')
    expect(speech({ input: 'Hello.' })).toBe(true)
    expect(speech({ voice: 'alloy' })).toBe(false)
  })
})
