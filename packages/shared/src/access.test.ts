import { describe, expect, test } from 'vitest'
import type { AccessOptions } from './access.ts'
import { Secret } from './config.ts'
import { createApp } from './http.ts'
import { createLogger, createMetrics } from './telemetry.ts'

const KEY = 'a-key-of-at-least-32-characters-x'

function setUp(access: AccessOptions) {
  const log = createLogger({ service: 'test', level: 'silent' })
  const app = createApp({
    service: 'test',
    models: () => [],
    log,
    metrics: createMetrics('test'),
    maxBodyBytes: 100,
    access,
  })
  app.get('/thing', (c) => c.text('thing'))
  app.get('/v1/audio/voices', (c) => c.text('voices'))
  return app
}

const statusWith = async (
  authorization: string | undefined,
  path = '/thing',
  access: AccessOptions = { apiKey: new Secret(KEY) },
) => (await setUp(access).request(path, authorization === undefined ? {} : { headers: { authorization } })).status

describe('an API key', () => {
  test('opens everything to who sends it', async () => {
    expect(await statusWith(`Bearer ${KEY}`)).toBe(200)
    expect(await statusWith(`bearer ${KEY}`)).toBe(200)
  })

  test.each([
    ['none', undefined],
    ['an empty one', 'Bearer '],
    ['a wrong one of the same length', `Bearer ${KEY.slice(0, -1)}y`],
    ['its beginning', `Bearer ${KEY.slice(0, 10)}`],
    ['the right one twice', `Bearer ${KEY} ${KEY}`],
    ['the right one under another scheme', `Basic ${KEY}`],
    ['the bare key', KEY],
  ])('refuses %s', async (_name, authorization) => {
    expect(await statusWith(authorization)).toBe(401)
  })

  test('says what is expected, in the one error body', async () => {
    const answer = await setUp({ apiKey: new Secret(KEY) }).request('/thing')
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect(await answer.json()).toMatchObject({ error: { code: 'unauthorized', type: 'authentication_error' } })
  })

  test('in the address opens nothing', async () => {
    expect(await statusWith(undefined, `/thing?api_key=${KEY}&key=${KEY}`)).toBe(401)
  })

  test('is not asked of probes and of open paths, but of paths that do not exist', async () => {
    const access = { apiKey: new Secret(KEY), openPaths: ['/v1/audio/voices'] }
    expect(await statusWith(undefined, '/health', access)).toBe(200)
    expect(await statusWith(undefined, '/ready', access)).toBe(200)
    expect(await statusWith(undefined, '/v1/audio/voices', access)).toBe(200)
    expect(await statusWith(undefined, '/metrics', access)).toBe(401)
    expect(await statusWith(undefined, '/nowhere', access)).toBe(401)
    expect(await statusWith(undefined, '/v1/audio/voices/', access)).toBe(401)
  })

  test('is not asked of anything in an open folder, but of what is beside it', async () => {
    const access = { apiKey: new Secret(KEY), openPaths: ['/web/*'] }
    expect(await statusWith(undefined, '/web/1/main.ts', access)).toBe(404)
    for (const path of ['/web', '/website', '/thing', '/']) expect(await statusWith(undefined, path, access)).toBe(401)
  })

  test('is not asked where none is set', async () => {
    expect(await statusWith(undefined, '/thing', {})).toBe(200)
  })
})

describe('pages of other origins', () => {
  const ask = (allowedOrigins: string[], origin: string, method = 'GET') =>
    setUp({ allowedOrigins, apiKey: new Secret(KEY) }).request('/thing', {
      method,
      headers: {
        origin,
        'access-control-request-method': 'GET',
        ...(method === 'GET' && { authorization: `Bearer ${KEY}` }),
      },
    })

  test('can not read answers unless they are named', async () => {
    expect((await ask([], 'https://evil.example')).headers.get('access-control-allow-origin')).toBeNull()
    expect(
      (await ask(['https://home.example'], 'https://evil.example')).headers.get('access-control-allow-origin'),
    ).toBeNull()
  })

  test('can when they are, and their preflight needs no key', async () => {
    const preflight = await ask(['https://home.example'], 'https://home.example', 'OPTIONS')
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization')
    expect(
      (await ask(['https://home.example'], 'https://home.example')).headers.get('access-control-allow-origin'),
    ).toBe('https://home.example')
  })

  test('can, whichever they are, where every page may', async () => {
    for (const method of ['OPTIONS', 'GET'])
      expect((await ask(['*'], 'https://any.example', method)).headers.get('access-control-allow-origin')).toBe('*')
  })
})
