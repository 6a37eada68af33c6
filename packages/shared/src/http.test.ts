import { describe, expect, test, vi } from 'vitest'
import * as z from 'zod'
import type { BootReport, ModelStatus } from './api.ts'
import { AppError } from './errors.ts'
import { type AppOptions, createApp, replyStream, requestSignal, setTimings } from './http.ts'
import { fileBytes, oneField, readForm, readJson } from './request-body.ts'
import { createLogger, createMetrics } from './telemetry.ts'
import { openSocket, startServer } from './testing/http-server.ts'
import { gate, settle } from './testing/signals.ts'

const model: ModelStatus = {
  id: 'org/model',
  source: 'cache',
  state: 'ready',
  progress: null,
  loadMs: 1,
  firstInferenceMs: 1,
  secondInferenceMs: 1,
  warning: null,
  error: null,
}

function setUp(options: Partial<AppOptions> = {}) {
  const app = createApp({
    service: 'test',
    models: () => [model],
    log: createLogger({ service: 'test', level: 'silent' }),
    metrics: createMetrics('test'),
    maxBodyBytes: 10_000,
    ...options,
  })
  app.post('/json', async (c) =>
    c.json(await readJson(c, z.strictObject({ a: z.number().optional(), text: z.string().optional() }))),
  )
  app.post('/form', async (c) => {
    const form = await readForm(c)
    const bytes = await fileBytes(form, 'file')
    return c.json({ bytes: bytes.length, name: oneField(form, 'name') })
  })
  app.get('/things/:id', (c) => c.text('thing'))
  app.get('/boom', () => {
    throw new Error('a secret detail')
  })
  app.get('/later', () => {
    throw new AppError('overloaded', 'full', { retryAfterMs: 1500 })
  })
  app.get('/timed', (c) => {
    setTimings(c, { queueMs: 1.23, inferenceMs: 4.56, batchSize: 2, model: 'org/model' })
    return c.text('')
  })
  return app
}

const json = (body: string | Uint8Array, type = 'application/json') => ({
  method: 'POST',
  headers: { 'content-type': type },
  body,
})
const errorOf = async (answer: Response) => {
  const body = z
    .object({ error: z.object({ code: z.string(), param: z.string().nullable() }) })
    .parse(await answer.json())
  return { status: answer.status, ...body.error }
}

describe('probes', () => {
  test('health is 200 while the process lives', async () => {
    expect((await setUp({ models: () => [{ ...model, state: 'failed' }] }).request('/health')).status).toBe(200)
  })

  test.each(['idle', 'fetching', 'loading', 'warming', 'failed', 'draining'] as const)(
    'ready is 503 while a model is %s',
    async (state) => {
      const answer = await setUp({ models: () => [model, { ...model, state }] }).request('/ready')
      expect(answer.status).toBe(503)
      expect(await answer.json()).toMatchObject({
        service: 'test',
        ready: false,
        models: [{ state: 'ready' }, { state }],
      })
    },
  )

  test('ready does not wait for what is optional, and tells of it', async () => {
    const models = () => [model, { ...model, state: 'failed' as const, optional: true }]
    const answer = await setUp({ models }).request('/ready')
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ ready: true, models: [{}, { state: 'failed', optional: true }] })
  })

  test('ready is 200 when all models are, and 503 again while draining', async () => {
    expect((await setUp().request('/ready')).status).toBe(200)
    expect((await setUp({ isDraining: () => true }).request('/ready')).status).toBe(503)
  })

  test('ready tells what the starts took only when it is asked to', async () => {
    const boot = { readyMs: 5 } as BootReport
    const details = async () => ({ boots: [] })
    const app = setUp({ models: () => [{ ...model, boot }], details })
    expect(await (await app.request('/ready')).json()).toEqual({ service: 'test', ready: true, models: [model] })
    const verbose = { service: 'test', ready: true, models: [{ ...model, boot }], boots: [] }
    expect(await (await app.request('/ready?verbose')).json()).toEqual(verbose)
  })

  test('metrics name the route, never the path', async () => {
    const app = setUp()
    await app.request('/things/fortytwo')
    await app.request('/no/such/path')
    const text = await (await app.request('/metrics')).text()
    expect(text).toContain('route="/things/:id"')
    expect(text).toContain('route="unmatched"')
    expect(text).not.toContain('fortytwo')
  })
})

describe('replies', () => {
  test('have a request id: the caller’s own when it is sane, else a new one', async () => {
    const app = setUp()
    const idFor = async (id: string) =>
      (await app.request('/health', { headers: { 'x-request-id': id } })).headers.get('x-request-id')
    expect(await idFor('my-id_1')).toBe('my-id_1')
    for (const bad of ['x'.repeat(10_000), 'with space', '<script>'])
      expect(await idFor(bad)).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('tell their times in headers', async () => {
    let time = 0
    const answer = await setUp({ now: () => (time += 10) }).request('/timed')
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'x-model': 'org/model',
      'x-queue-time': '1.2',
      'x-inference-time': '4.6',
      'x-batch-size': '2',
      'x-total-time': '10.0',
      'server-timing': 'queue;dur=1.2, inference;dur=4.6, total;dur=10.0',
    })
  })

  test('of unknown errors say nothing of their inside', async () => {
    const answer = await setUp().request('/boom')
    const body = await answer.text()
    expect(answer.status).toBe(500)
    expect(body).toContain('internal_error')
    expect(body).not.toContain('secret')
    expect(answer.headers.get('x-should-retry')).toBe('false')
  })

  test('of a refusal say when to come back', async () => {
    const answer = await setUp().request('/later')
    expect(answer.status).toBe(429)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'retry-after': '2',
      'retry-after-ms': '1500',
      'x-should-retry': 'true',
    })
    expect(await answer.json()).toEqual({
      error: { message: 'full', type: 'rate_limit_error', param: null, code: 'overloaded' },
      request_id: answer.headers.get('x-request-id'),
    })
  })
})

describe('what routes throw', () => {
  const answerTo = async (thrown: unknown) => {
    const lines: string[] = []
    const log = createLogger({ service: 'test', level: 'info' }, { write: (line) => void lines.push(line) })
    const app = setUp({ log })
    app.get('/throw', () => {
      throw thrown
    })
    const answer = await app.request('/throw')
    return { status: answer.status, headers: answer.headers, body: await answer.text(), lines }
  }

  test('that is no Error is answered and logged like one', async () => {
    const { status, headers, body, lines } = await answerTo('a bare text')
    expect(status).toBe(500)
    expect(body).toContain('"code":"internal_error"')
    expect(body).not.toContain('bare')
    expect(headers.get('x-total-time')).not.toBeNull()
    expect(lines).toHaveLength(2)
  })

  test('and nobody expected is logged with its cause, under the id that the client got', async () => {
    const { headers, lines } = await answerTo(new Error('outside', { cause: new Error('inside') }))
    const failure = lines.find((line) => line.includes('request failed'))
    expect(failure).toContain('inside')
    expect(failure).toContain(headers.get('x-request-id'))
  })

  test('and may go better later says when, even if the error did not', async () => {
    const { headers } = await answerTo(new AppError('draining', 'stopping'))
    expect(headers.get('retry-after')).toBe('1')
    expect(headers.get('x-should-retry')).toBe('true')
  })

  test('leaves its code in the access log', async () => {
    const { lines } = await answerTo(new AppError('audio_too_long', 'too long'))
    expect(lines.map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)))).toMatchObject([
      { msg: 'request', status: 413, code: 'audio_too_long', route: '/throw' },
    ])
  })
})

test('logs and metrics hold nothing of path, query, headers or body', async () => {
  const lines: string[] = []
  const metrics = createMetrics('test')
  const app = setUp({
    metrics,
    log: createLogger({ service: 'test', level: 'trace' }, { write: (line) => void lines.push(line) }),
  })
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'canary',
    origin: 'http://canary',
    cookie: 'a=canary',
  }
  await app.request('/canary?canary=1')
  await app.request('/things/canary')
  await app.request('/things/canary', { method: 'DELETE' })
  for (const body of ['{"text":"canary"}', '{"text":"canary', '{"canary":1}', '{"a":"canary"}', '"canary"'])
    await app.request('/json?canary', { method: 'POST', headers, body })
  await app.request('/form', {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=canary' },
    body: 'canary',
  })
  expect(lines).toHaveLength(9)
  expect(lines.join('') + (await metrics.registry.metrics())).not.toContain('canary')
})

describe('a streamed reply', () => {
  const encode = (text: string) => new TextEncoder().encode(text)

  test('goes out piece by piece: nothing on the way waits for its end', async () => {
    const hold = gate()
    async function* pieces() {
      yield encode('first')
      await hold.promise
      yield encode('last')
    }
    const { base, close, lines } = await startServer((app) =>
      app.get('/stream', (c) => c.body(replyStream(c, pieces(), createLogger({ service: 'x', level: 'silent' })))),
    )
    const answer = await fetch(`${base}/stream`)
    const reader = answer.body?.getReader()
    expect(await reader?.read()).toEqual({ done: false, value: encode('first') })
    expect(answer.headers.get('server-timing')).toMatch(/^total;dur=/)
    hold.resolve()
    expect(await reader?.read()).toEqual({ done: false, value: encode('last') })
    expect(await reader?.read()).toMatchObject({ done: true })
    await close()
    expect(lines.map(({ msg }) => msg)).toContain('request')
  })

  test('that fails cuts the connection and is logged, once and nowhere else', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const lines: string[] = []
    const log = createLogger({ service: 'x', level: 'info' }, { write: (line) => void lines.push(line) })
    async function* pieces() {
      yield encode('first')
      throw new AppError('engine_failed', 'the engine failed')
    }
    const { port, close } = await startServer((app) => app.get('/stream', (c) => c.body(replyStream(c, pieces(), log))))
    const answer = await openSocket(port, 'GET /stream HTTP/1.1\r\nhost: x\r\n\r\n').closed
    expect(answer).toContain('first')
    expect(answer).not.toMatch(/\r\n0\r\n\r\n$/)
    await close()
    expect(lines.map((line) => z.object({ msg: z.string(), code: z.string() }).parse(JSON.parse(line)))).toEqual([
      { msg: 'reply cut short', code: 'engine_failed' },
    ])
    expect(printed).not.toHaveBeenCalled()
  })

  test('ends its source when the client leaves', async () => {
    const [ended, taken] = [gate(), gate()]
    async function* pieces() {
      try {
        for (;;) {
          yield new Uint8Array(1_000_000)
          taken.resolve()
        }
      } finally {
        ended.resolve()
      }
    }
    const { port, close } = await startServer((app) =>
      app.get('/stream', (c) => c.body(replyStream(c, pieces(), createLogger({ service: 'x', level: 'silent' })))),
    )
    const { socket } = openSocket(port, 'GET /stream HTTP/1.1\r\nhost: x\r\n\r\n')
    await taken.promise
    socket.destroy()
    await expect(ended.promise).resolves.toBeUndefined()
    await close()
  })

  test('ends its source when the client left before it asked for anything', async () => {
    const ended = vi.fn<() => void>()
    async function* pieces() {
      try {
        yield encode('first')
        yield encode('last')
      } finally {
        ended()
      }
    }
    const app = setUp()
    app.get('/stream', (c) => c.body(replyStream(c, pieces(), createLogger({ service: 'x', level: 'silent' }))))
    await (await app.request('/stream')).body?.cancel()
    expect(ended).toHaveBeenCalledTimes(1)
  })

  test('fails its reader where there is no connection to cut', async () => {
    async function* pieces() {
      yield encode('first')
      throw new Error('broken')
    }
    const app = setUp()
    app.get('/stream', (c) => c.body(replyStream(c, pieces(), createLogger({ service: 'x', level: 'silent' }))))
    await expect((await app.request('/stream')).text()).rejects.toThrow('broken')
  })
})

test('a request has one signal, which aborts with `cancelled`', async () => {
  const stop = new AbortController()
  const app = setUp()
  const signals: AbortSignal[] = []
  app.get('/signal', (c) => {
    signals.push(requestSignal(c), requestSignal(c))
    return c.text('')
  })
  await app.request('/signal', { signal: stop.signal })
  stop.abort('a bare text')
  await settle()
  expect(signals[0]).toBe(signals[1])
  expect(signals[0]?.reason).toMatchObject({ code: 'cancelled' })
})

test.each([
  ['an unknown path', '/nowhere', {}, 404, 'not_found'],
  ['the wrong method', '/json', { method: 'GET' }, 405, 'method_not_allowed'],
  ['the wrong method on a path with a parameter', '/things/1', { method: 'DELETE' }, 405, 'method_not_allowed'],
  [
    'a compressed body',
    '/json',
    { ...json('{}'), headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } },
    415,
    'unsupported_encoding',
  ],
  [
    'a body past the limit',
    '/json',
    { ...json('{}'), headers: { 'content-type': 'application/json', 'content-length': '10001' } },
    413,
    'body_too_large',
  ],
  ['no content type', '/json', { method: 'POST', body: new Uint8Array([123, 125]) }, 415, 'unsupported_content_type'],
  ['text', '/json', json('{}', 'text/plain'), 415, 'unsupported_content_type'],
  ['another charset', '/json', json('{}', 'application/json; charset=utf-16'), 415, 'unsupported_content_type'],
  ['an empty body', '/json', json(''), 400, 'invalid_json'],
  ['half a body', '/json', json('{"a":'), 400, 'invalid_json'],
  ['a trailing comma', '/json', json('{"a":1,}'), 400, 'invalid_json'],
  ['NaN', '/json', json('{"a":NaN}'), 400, 'invalid_json'],
  ['depth 101', '/json', json('['.repeat(101) + ']'.repeat(101)), 400, 'invalid_json'],
  ['broken UTF-8', '/json', json(Uint8Array.from([0x22, 0xff, 0x22])), 400, 'invalid_encoding'],
  ['half a surrogate pair', '/json', json('{"text":"\\ud800"}'), 400, 'invalid_encoding'],
  ['an array', '/json', json('[]'), 400, 'invalid_request'],
  ['null', '/json', json('null'), 400, 'invalid_request'],
  ['the wrong type', '/json', json('{"a":"1"}'), 400, 'invalid_request'],
  ['an unknown field', '/json', json('{"b":1}'), 400, 'unknown_field'],
  ['__proto__', '/json', json('{"__proto__":{"a":1}}'), 400, 'unknown_field'],
  ['constructor', '/json', json('{"constructor":{"a":1}}'), 400, 'unknown_field'],
  ['a content type that is none', '/json', json('{}', 'json'), 415, 'unsupported_content_type'],
  [
    'a form where JSON is due',
    '/json',
    json('a=1', 'application/x-www-form-urlencoded'),
    415,
    'unsupported_content_type',
  ],
  [
    'more parts than a form has',
    '/form',
    json(
      '--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n'.repeat(150),
      'multipart/form-data; x="; boundary=c"; boundary=b',
    ),
    400,
    'invalid_multipart',
  ],
  ['a form without a boundary', '/form', json('x', 'multipart/form-data'), 400, 'invalid_multipart'],
  [
    'half a form',
    '/form',
    json(
      '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
      'multipart/form-data; boundary=b',
    ),
    400,
    'invalid_multipart',
  ],
  ['JSON where a form is due', '/form', json('{}'), 415, 'unsupported_content_type'],
] as const)('%s gets a clear 4xx', async (_name, path, request, status, code) => {
  const app = setUp()
  const answer = await app.request(path, request)
  expect(await errorOf(answer)).toMatchObject({ status, code })
  expect(answer.headers.has('allow')).toBe(status === 405)
  expect((await app.request('/json', json('{"a":1}'))).status).toBe(200)
})

test('an unknown field inside another is named by its whole path', async () => {
  const app = setUp()
  app.post('/nested', async (c) => c.json(await readJson(c, z.object({ voice: z.strictObject({ id: z.string() }) }))))
  const answer = await app.request('/nested', json('{"voice":{"id":"a","sped":1}}'))
  expect(await errorOf(answer)).toMatchObject({ code: 'unknown_field', param: 'voice.sped' })
})

describe('forms', () => {
  const post = (form: FormData) => setUp().request('/form', { method: 'POST', body: form })

  test('give the bytes of a file, whatever its name and type', async () => {
    const form = new FormData()
    form.append('file', new Blob([new Uint8Array(300)], { type: 'application/octet-stream' }), '../../etc/passwd')
    form.append('name', 'x')
    expect(await (await post(form)).json()).toEqual({ bytes: 300, name: 'x' })
  })

  test.each([
    ['no file', () => new FormData(), 'missing_file'],
    ['text where a file is due', () => withFields(['file', 'text']), 'missing_file'],
    ['two files', () => withFields(['file', new Blob(['a'])], ['file', new Blob(['b'])]), 'duplicate_field'],
    [
      'too many parts',
      () => withFields(...Array.from({ length: 65 }, (_, at) => [`f${at}`, 'x'] as const)),
      'invalid_multipart',
    ],
  ])('%s is refused', async (_name, make, code) => {
    expect(await errorOf(await post(make()))).toMatchObject({ status: 400, code })
  })
})

function withFields(...fields: (readonly [string, string | Blob])[]): FormData {
  const form = new FormData()
  for (const [name, value] of fields) {
    if (typeof value === 'string') form.append(name, value)
    else form.append(name, value)
  }
  return form
}
