import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { ErrorBody } from './api.ts'
import { Secret } from './config.ts'
import { readForm, readJson } from './request-body.ts'
import { openSocket, sendRaw, startServer, type TestServer } from './testing/http-server.ts'

const LIMIT = 100_000

let server: TestServer
beforeAll(async () => {
  server = await startServer(
    (app) => {
      app.post('/json', async (c) => c.json(await readJson(c, z.strictObject({ a: z.number().optional() }))))
      app.post('/form', async (c) => c.json([...(await readForm(c)).keys()]))
      app.post('/v1/x', (c) => c.text('x'))
      app.get('/v1/x/:id', (c) => c.text(c.req.param('id')))
    },
    { maxBodyBytes: LIMIT },
  )
})
afterAll(() => server.close())

const CLOSE = 'host: x\r\nconnection: close\r\n'
const JSON_TYPE = 'content-type: application/json\r\n'
const get = (path: string, headers = CLOSE) => `GET ${path} HTTP/1.1\r\n${headers}\r\n`
const post = (path: string) => `POST ${path} HTTP/1.1\r\n${CLOSE}content-length: 0\r\n\r\n`
const postJson = (headers: string, body = '') => `POST /json HTTP/1.1\r\n${CLOSE}${JSON_TYPE}${headers}\r\n${body}`
const chunked = (body: string) => postJson('transfer-encoding: chunked\r\n', body)
const many = (count: number) => Array.from({ length: count }, (_, at) => `h${at}: 1\r\n`).join('')

const ROWS: readonly (readonly [string, string, number, string])[] = [
  ['C06 a header of 20 KB', get('/health', `${CLOSE}a: ${'x'.repeat(20_000)}\r\n`), 431, 'headers_too_large'],
  ['C07 3,000 headers', get('/health', CLOSE + many(3000)), 431, 'headers_too_large'],
  ['C07 101 headers', get('/health', CLOSE + many(99)), 431, 'headers_too_large'],
  ['C08 an address of 20 KB', get(`/${'x'.repeat(20_000)}`), 431, 'headers_too_large'],
  ['C09 no Host', get('/health', 'connection: close\r\n'), 400, 'invalid_request'],
  ['C09 two Hosts', get('/health', `host: y\r\n${CLOSE}`), 400, 'invalid_request'],
  ['C09 a Host that is none', get('/health', 'host: a b/c\r\nconnection: close\r\n'), 400, 'invalid_request'],
  [
    'C13 length and chunks',
    postJson('content-length: 2\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n'),
    400,
    'invalid_request',
  ],
  ['C14 two lengths', postJson('content-length: 2\r\ncontent-length: 3\r\n', '{} '), 400, 'invalid_request'],
  ['C14 a negative length', postJson('content-length: -2\r\n', '{}'), 400, 'invalid_request'],
  ['C14 the length +5', postJson('content-length: +5\r\n', '{}   '), 400, 'invalid_request'],
  ['C14 the length 0x5', postJson('content-length: 0x5\r\n', '{}   '), 400, 'invalid_request'],
  ['C15 a chunk size that is no number', chunked('zz\r\n'), 400, 'invalid_request'],
  ['C15 a chunk extension of 1 MB', chunked(`2;${'x'.repeat(1e6)}\r\n{}\r\n0\r\n\r\n`), 413, 'body_too_large'],
  ['C16 50,000 chunks of one byte', chunked(`${'1\r\n \r\n'.repeat(50_000)}0\r\n\r\n`), 413, 'body_too_large'],
  ['C17 bare line feeds', 'GET /health HTTP/1.1\nhost: x\n\n', 400, 'invalid_request'],
  ['C17 NUL in a header', get('/health', `${CLOSE}a: \0\r\n`), 400, 'invalid_request'],
  ['C17 a folded header', get('/health', `${CLOSE}a: b\r\n c\r\n`), 400, 'invalid_request'],
  ['C18 an unknown method', `FOO /health HTTP/1.1\r\n${CLOSE}\r\n`, 400, 'invalid_request'],
  ['C18 a method of WebDAV', `PROPFIND /json HTTP/1.1\r\n${CLOSE}\r\n`, 405, 'method_not_allowed'],
  ['C19 GET on a POST route', get('/json'), 405, 'method_not_allowed'],
  ['C20 two slashes', post('//v1/x'), 404, 'not_found'],
  ['C20 a dot', post('/v1/./x'), 404, 'not_found'],
  ['C20 two dots', post('/a/../v1/x'), 404, 'not_found'],
  ['C20 two dots, encoded', post('/a/%2E%2e/v1/x'), 404, 'not_found'],
  ['C20 an encoded slash', post('/v1%2Fx'), 404, 'not_found'],
  ['C20 a trailing slash', post('/v1/x/'), 404, 'not_found'],
  ['C20 a trailing dot', post('/v1/x/.'), 404, 'not_found'],
  ['C20 a backslash', get('/a\\b'), 400, 'invalid_request'],
  ['C21 gzip', postJson('content-encoding: gzip\r\ncontent-length: 2\r\n', '{}'), 415, 'unsupported_encoding'],
  [
    'C21 GZIP after identity',
    postJson('content-encoding: identity, GZIP\r\ncontent-length: 0\r\n'),
    415,
    'unsupported_encoding',
  ],
  [
    'C21 gzip as transfer coding',
    postJson('transfer-encoding: gzip, chunked\r\n', '2\r\n{}\r\n0\r\n\r\n'),
    415,
    'unsupported_encoding',
  ],
  ['C24 an empty body', postJson('content-length: 0\r\n'), 400, 'invalid_json'],
  ['C29 a key twice', postJson('content-length: 13\r\n', '{"a":1,"a":2}'), 400, 'duplicate_field'],
  ['C34 a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'invalid_request'],
  [
    'C35 a question before a body too large',
    postJson('expect: 100-continue\r\ncontent-length: 100001\r\n'),
    413,
    'body_too_large',
  ],
  ['a body too large that never comes', postJson('content-length: 100001\r\n'), 413, 'body_too_large'],
]

test.each(ROWS)('%s gets one error body, and the next request works', async (_name, request, status, code) => {
  const answer = await sendRaw(server.port, request)
  expect(answer.status).toBe(status)
  const body = ErrorBody.parse(JSON.parse(answer.body))
  expect(body.error.code).toBe(code)
  expect(body.error.type).toBe('invalid_request_error')
  expect(body.request_id).toBe(answer.headers['x-request-id'])
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.headers['allow']).toBe(status === 405 ? 'POST' : undefined)
  expect((await sendRaw(server.port, get('/health'))).status).toBe(200)
})

test('HEAD on a POST route is refused with Allow, on a GET route it answers without a body', async () => {
  const refused = await sendRaw(server.port, `HEAD /json HTTP/1.1\r\n${CLOSE}\r\n`)
  expect(refused).toMatchObject({ status: 405, headers: { allow: 'POST' }, body: '' })
  expect(await sendRaw(server.port, `HEAD /health HTTP/1.1\r\n${CLOSE}\r\n`)).toMatchObject({ status: 200, body: '' })
})

test('a preflight from a foreign origin gets Allow and no permission (C12)', async () => {
  const asks = `${CLOSE}origin: http://evil.example\r\naccess-control-request-method: POST\r\n`
  const answer = await sendRaw(server.port, `OPTIONS /json HTTP/1.1\r\n${asks}\r\n`)
  expect(answer).toMatchObject({ status: 204, headers: { allow: 'POST' } })
  expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  expect((await sendRaw(server.port, `OPTIONS /health HTTP/1.1\r\n${CLOSE}\r\n`)).headers['allow']).toBe('GET, HEAD')
})

test('who asks before sending a body is told to go on when the body is wanted, and only then (C35)', async () => {
  const answers = (request: string) => openSocket(server.port, request).closed
  const asking = (headers: string, body: string) => postJson(`expect: 100-continue\r\n${headers}`, body)
  expect(await answers(asking('content-length: 2\r\n', '{}'))).toMatch(
    /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /,
  )
  expect(await answers(asking('content-length: 100001\r\n', ''))).toMatch(/^HTTP\/1\.1 413 /)
  expect(await answers(asking('content-length: 2\r\ncontent-encoding: br\r\n', ''))).toMatch(/^HTTP\/1\.1 415 /)
})

test('a request id that is too long or not plain is replaced (C38)', async () => {
  const idFor = async (id: string) =>
    (await sendRaw(server.port, get('/health', `${CLOSE}x-request-id: ${id}\r\n`))).headers['x-request-id']
  expect(await idFor('a-1.b:2_3')).toBe('a-1.b:2_3')
  for (const bad of ['x'.repeat(10_000), 'x'.repeat(129), 'a b', 'é'])
    expect(await idFor(bad)).toMatch(/^[0-9a-f-]{36}$/)
})

describe('a service without a key', () => {
  let own: TestServer
  beforeAll(async () => {
    own = await startServer((app) => app.post('/v1/x', (c) => c.text('x')), {
      access: { allowedHosts: ['home.example'], allowedOrigins: ['https://friend.example'] },
    })
  })
  afterAll(() => own.close())
  const statusFor = async (method: string, host: string, origin?: string) => {
    const path = method === 'GET' ? '/health' : '/v1/x'
    const headers = `host: ${host}\r\nconnection: close\r\ncontent-length: 0\r\n${origin ? `origin: ${origin}\r\n` : ''}`
    const { status, body } = await sendRaw(own.port, `${method} ${path} HTTP/1.1\r\n${headers}\r\n`)
    return status === 200 ? 200 : ErrorBody.parse(JSON.parse(body)).error.code
  }

  test.each([
    ['POST', 'localhost:8080', undefined, 200],
    ['POST', 'LOCALHOST', undefined, 200],
    ['POST', '[::1]:8080', undefined, 200],
    ['GET', '192.168.1.20:8080', undefined, 200],
    ['POST', 'home.example', 'https://home.example', 200],
    ['POST', 'localhost:8080', 'http://localhost:3000', 200],
    ['POST', 'localhost', 'https://friend.example', 200],
    ['POST', 'localhost', 'chrome-extension://abc', 200],
    ['GET', 'localhost', 'http://evil.example', 200],
    ['GET', 'evil.example', undefined, 'host_not_allowed'],
    ['POST', 'evil.example', 'http://evil.example', 'host_not_allowed'],
    ['POST', 'localhost.evil.example', undefined, 'host_not_allowed'],
    ['POST', 'localhost', 'http://evil.example', 'origin_not_allowed'],
    ['POST', 'localhost', 'http://localhost.evil.example', 'origin_not_allowed'],
    ['POST', 'localhost', 'null', 'origin_not_allowed'],
    // Nobody can lead an address here, but anybody can have one.
    ['POST', 'localhost', 'http://203.0.113.5', 'origin_not_allowed'],
    ['POST', 'localhost', 'http://[2001:db8::5]:8080', 'origin_not_allowed'],
    ['POST', '192.168.1.20:8080', 'https://192.168.1.20:8443', 200],
    ['POST', '192.168.1.20:8080', 'http://127.0.0.1:3000', 200],
  ] as const)('%s to %s from %s: %s (C10, C11)', async (method, host, origin, expected) => {
    expect(await statusFor(method, host, origin)).toBe(expected)
  })

  test('says what to set, in the one error body', async () => {
    const answer = await sendRaw(own.port, get('/health', 'host: evil.example\r\nconnection: close\r\n'))
    expect(answer.status).toBe(403)
    expect(JSON.parse(answer.body).error).toMatchObject({
      code: 'host_not_allowed',
      message: expect.stringContaining('HEARTH_ALLOWED_HOSTS'),
    })
  })
})

test('a service with a key is found under any name: no page has the key', async () => {
  const own = await startServer(() => undefined, { access: { apiKey: new Secret('a-long-enough-key') } })
  expect((await sendRaw(own.port, get('/health', 'host: a.example\r\nconnection: close\r\n'))).status).toBe(200)
  await own.close()
})

test('clients that are slow or silent are answered 408 and closed, others are served meanwhile (C31, C32, C33)', async () => {
  const limits = { headersTimeout: 60, requestTimeout: 60, keepAliveTimeout: 60, connectionsCheckingInterval: 10 }
  const strict = await startServer((app) => app.post('/json', async (c) => c.json(await readJson(c, z.object({})))), {
    limits,
  })
  const slowHeaders = openSocket(strict.port, 'GET /health HTTP/1.1\r\nhost:').closed
  const slowBody = openSocket(
    strict.port,
    `POST /json HTTP/1.1\r\nhost: x\r\n${JSON_TYPE}content-length: 9\r\n\r\n{`,
  ).closed
  const silent = Array.from({ length: 200 }, () => openSocket(strict.port).closed)
  const idle = openSocket(strict.port, get('/health', 'host: x\r\n')).closed
  expect((await sendRaw(strict.port, get('/health'))).status).toBe(200)
  for (const slow of [slowHeaders, slowBody]) {
    const answer = await slow
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(answer).toContain('"code":"request_timeout"')
  }
  await Promise.all(silent)
  expect(await idle).toMatch(/^HTTP\/1\.1 200 /)
  await strict.close()
})

test('a form sent in chunks without a length, as clients that stream a file do, is read', async () => {
  const form = new FormData()
  form.append('model', 'whisper')
  form.append('file', new Blob([readFileSync(import.meta.filename)], { type: 'application/octet-stream' }), 'a.wav')
  const { body, headers } = new Response(form)
  const sent = await fetch(`${server.base}/form`, { method: 'POST', headers, body, duplex: 'half' })
  expect(await sent.json()).toEqual(['model', 'file'])
})
