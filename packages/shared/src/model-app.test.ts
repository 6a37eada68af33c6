import { describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import type { FetchProgress } from './model-status.ts'
import { Secret } from './config.ts'
import { AppError } from './errors.ts'
import { createModelApp, type ModelAppOptions } from './model-app.ts'
import { ModelChoices } from './model-choice.ts'
import { ModelSlot, type SlotOptions } from './model-slot.ts'
import { Model } from './model.ts'
import { serve } from './serve.ts'
import { createLogger, createMetrics } from './telemetry.ts'
import { createHost } from './testing/http-server.ts'
import { gate, never, settle } from './testing/signals.ts'
import { stubThread, type StubOptions } from './testing/stub-thread.ts'

type Options = Partial<SlotOptions<number, number, string>> & {
  engines?: Record<string, StubOptions>
  fetch?: (onProgress: (progress: FetchProgress) => void) => Promise<void>
  app?: Partial<ModelAppOptions<number, number, string>>
}

/** A service on a port of its own whose one route doubles a number. */
async function setUp({ engines = {}, fetch: bring, app: overrides, ...options }: Options = {}) {
  const log = createLogger({ service: 'test', level: 'silent' })
  const slot = new ModelSlot<number, number, string>({
    choices: new ModelChoices({ id: 'org/first', revision: 'main', demo: 'tiny' }, ['org/second']),
    preload: 'lazy',
    pull: () => Promise.reject(new Error('not asked')),
    create: ({ id }, hooks, { preload }) =>
      new Model<number, number>({
        name: 'test',
        id,
        preload,
        maxBatchSize: 4,
        coldHoldMs: 60_000,
        fetch: async (onProgress) => {
          await bring?.(onProgress)
          return { dir: id, source: 'hub', revision: 'c0ffee', id, warning: null, bytes: 1234 }
        },
        prepare: async () => hooks.onPrepared(id),
        onStatus: () => hooks.onStatus(),
        createThread: () => stubThread(engines[id]),
        log,
      }),
    ...options,
  })
  const drain = new AbortController()
  const { app, use } = createModelApp(
    { slot, draining: drain.signal, log, metrics: createMetrics('test'), ...overrides },
    { service: 'test', maxBodyBytes: 10_000, aliases: ['any'], task: 'doubling', family: () => 'stub' },
  )
  app.post('/double/:name', async (c) => {
    const model = await use(c, c.req.param('name'))
    const { output, model: id } = await model.submit(21, never)
    return c.json({ output, id })
  })
  const onDrain = () => drain.abort()
  const close = [() => slot.close()]
  const { host } = createHost()
  const server = await serve({ app, port: 0, hostname: '127.0.0.1', log, close, onDrain, host, drainMs: 5000 })
  onTestFinished(() => server.close())
  const base = `http://127.0.0.1:${server.port}`
  const call = async (method: string, path: string, init: RequestInit = {}) => {
    const reply = await fetch(`${base}${path}`, { method, ...init })
    return { status: reply.status, headers: reply.headers, body: z.any().parse(await reply.json()) }
  }
  return { base, call, slot, server, app }
}

const json = (body: object, headers: Record<string, string> = {}): RequestInit => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...headers },
})

describe('/ready', () => {
  test('is 200 for a lazy model that nobody has asked for, and says so', async () => {
    const { call } = await setUp()
    expect(await call('GET', '/ready')).toMatchObject({
      status: 200,
      body: { ready: true, models: [{ id: 'org/first', state: 'idle', preload: 'lazy' }] },
    })
  })

  test('is 503 until an eager one is warm, and 200 at once for one in the background', async () => {
    const coming = { engines: { 'org/first': { load: () => new Promise<void>(() => undefined) } } }
    const eager = await setUp({ ...coming, preload: 'eager' })
    const background = await setUp({ ...coming, preload: 'background' })
    for (const { slot } of [eager, background]) slot.preload()
    expect((await eager.call('GET', '/ready')).status).toBe(503)
    expect(await background.call('GET', '/ready')).toMatchObject({ status: 200, body: { ready: true } })
  })

  test('is 503 once an eager load has failed: the policy in effect, the reason, and when it is tried again', async () => {
    const { call, slot } = await setUp({
      preload: 'eager',
      fetch: () => Promise.reject(new AppError('storage_full', 'no space left')),
    })
    slot.preload()
    while (slot.status.state !== 'failed' || slot.status.retryInMs === undefined) await settle()
    const { status, body } = await call('GET', '/ready')
    expect(status).toBe(503)
    expect(body.models[0]).toMatchObject({ preload: 'background', error: 'no space left' })
    // What needs no model is answered all the same.
    expect((await call('GET', '/v1/models')).status).toBe(200)
  })
})

describe('GET /api/ps', () => {
  test('lists what is in memory, in Ollama’s fields and with the state', async () => {
    const { call } = await setUp({ keepAliveMs: 60_000 })
    expect((await call('GET', '/api/ps')).body).toEqual({ models: [] })
    await call('POST', '/double/any')
    const [entry] = (await call('GET', '/api/ps')).body.models
    expect(entry).toMatchObject({
      name: 'org/first',
      model: 'org/first',
      size: 1234,
      digest: 'c0ffee',
      size_vram: 0,
      state: 'ready',
      details: { format: 'onnx', family: 'stub', families: ['stub'] },
    })
    const inMs = Date.parse(entry.expires_at) - Date.now()
    expect(inMs).toBeGreaterThan(0)
    expect(inMs).toBeLessThanOrEqual(60_000)
  })
})

describe('loading and unloading', () => {
  test('POST /api/ps/{id} loads a model or changes to it, DELETE unloads it, and requests go on', async () => {
    const { call } = await setUp({ engines: { 'org/second': { plus: 0.5 } } })
    const loaded = await call('POST', '/api/ps/org/first')
    expect(loaded).toMatchObject({ status: 200, body: { models: [{ name: 'org/first', state: 'ready' }] } })
    const swapped = await call('POST', '/api/ps/org%2Fsecond', json({ keep_alive: '5m' }))
    expect(swapped.body.models[0]).toMatchObject({ name: 'org/second', state: 'ready' })
    expect((await call('POST', '/double/any')).body).toEqual({ output: 42.5, id: 'org/second' })
    expect(await call('DELETE', '/api/ps/org/second')).toMatchObject({ status: 200, body: { status: 'success' } })
    expect((await call('GET', '/api/ps')).body).toEqual({ models: [] })
    expect((await call('GET', '/ready')).status).toBe(200)
    expect((await call('POST', '/double/any')).body.id).toBe('org/second')
  })

  test('a request that names another model of the list brings it', async () => {
    const { call } = await setUp()
    expect((await call('POST', '/double/any')).body.id).toBe('org/first')
    expect((await call('POST', '/double/org%2Fsecond')).body.id).toBe('org/second')
    expect(await call('POST', '/double/org%2Ffirst', { headers: { prefer: 'wait=5' } })).toMatchObject({
      status: 503,
      body: { error: { code: 'model_loading', param: 'model' } },
    })
  })

  test('the reason why a model could not come is told, and the one before stays', async () => {
    const load = () => Promise.reject(new AppError('engine_failed', 'broken weights'))
    const { call } = await setUp({ engines: { 'org/second': { load } } })
    await call('POST', '/double/any')
    expect(await call('POST', '/api/ps/org/second')).toMatchObject({
      status: 503,
      body: { error: { code: 'model_failed', message: expect.stringContaining('broken weights') } },
    })
    expect((await call('POST', '/double/any')).body.id).toBe('org/first')
  })

  test.each([
    'org/third',
    '..%2F..%2Fetc%2Fpasswd',
    'https:%2F%2Fevil.example%2Fx',
    'org/second@v2',
    '%2Fetc',
    'org%2Fsecond%00',
  ])('%s is not found, whatever is asked of it', async (id) => {
    const { call } = await setUp()
    for (const method of ['POST', 'DELETE'])
      expect((await call(method, `/api/ps/${id}`)).status, `${method} ${id}`).toBe(404)
    expect((await call('POST', '/api/pull', json({ model: decodeURIComponent(id) }))).status).toBe(404)
    expect((await call('GET', `/v1/models/${id}/events`)).status).toBe(404)
  })
})

describe('who may change what is loaded', () => {
  const KEY = 'a-key-of-sixteen'
  const routes = [
    ['POST', '/api/ps/org/first'],
    ['DELETE', '/api/ps/org/first'],
    ['POST', '/api/pull'],
  ] as const

  test.each(routes)('%s %s: no page, no proxied call, no other machine', async (method, path) => {
    const { call, app } = await setUp()
    const code = async (headers: Record<string, string>) => (await call(method, path, { headers })).body.error?.code
    expect(await code({ origin: 'http://localhost:8080' })).toBe('origin_not_allowed')
    for (const header of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip'])
      expect(await code({ [header]: '127.0.0.1' }), header).toBe('unauthorized')
    for (const remoteAddress of ['10.0.0.7', '::ffff:10.0.0.7', '128.0.0.1', undefined]) {
      const incoming = { socket: { remoteAddress }, url: path, rawHeaders: [] }
      const reply = await app.request(path, { method }, { incoming })
      expect(reply.status, remoteAddress).toBe(401)
    }
  })

  test.each(routes)('%s %s: only with the key, where there is one', async (method, path) => {
    const { call } = await setUp({ app: { apiKey: new Secret(KEY) } })
    expect((await call(method, path)).status).toBe(401)
    expect((await call(method, path, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401)
    const reply = await call(method, path, { headers: { authorization: `Bearer ${KEY}` } })
    expect(reply.status).not.toBe(401)
  })

  test('who only looks needs neither', async () => {
    const { call } = await setUp({ app: { apiKey: new Secret(KEY) } })
    const headers = { origin: 'http://localhost:8080' }
    for (const path of ['/api/ps', '/v1/models']) expect((await call('GET', path, { headers })).status).toBe(200)
  })
})

describe('a client that does not want to wait long', () => {
  test('says so with Prefer: wait, and is refused with the state when that is over', async () => {
    const { call } = await setUp({
      fetch: (onProgress) => {
        onProgress({ bytes: 10, totalBytes: 100, files: { done: 1, total: 3 } })
        return new Promise(() => undefined)
      },
    })
    const { status, headers, body } = await call('POST', '/double/any', {
      headers: { prefer: 'respond-async, wait=0' },
    })
    expect(status).toBe(503)
    expect([headers.get('retry-after'), headers.get('retry-after-ms')]).toEqual(['5', '5000'])
    expect(body.error).toMatchObject({ type: 'server_error', code: 'model_loading', param: 'model' })
    expect(body.loading).toEqual({
      model: 'org/first',
      state: 'fetching',
      progress: 10,
      bytes_sent: 10,
      total_bytes: 100,
      file_index: 2,
      total_files: 3,
    })
  })

  test('is told that it was understood', async () => {
    const { call } = await setUp()
    const { headers } = await call('POST', '/double/any', { headers: { prefer: 'wait="7", respond-async' } })
    expect(headers.get('preference-applied')).toBe('wait=7')
    for (const prefer of ['wait=soon', 'wait=-1', 'await=3', ''])
      expect((await call('POST', '/double/any', { headers: { prefer } })).headers.get('preference-applied')).toBeNull()
  })
})

describe('POST /api/pull', () => {
  const readLines = async (reply: Response) =>
    (await reply.text())
      .trim()
      .split('\n')
      .map((line) => z.any().parse(JSON.parse(line)))

  test('tells its progress in lines of JSON, and loads nothing', async () => {
    const { base, slot } = await setUp({
      pull: async (_choice, onProgress) => {
        onProgress({ bytes: 5, totalBytes: 10 })
        await settle()
        onProgress({ bytes: 10, totalBytes: 10 })
      },
    })
    const reply = await fetch(`${base}/api/pull`, { method: 'POST', ...json({ model: 'org/second:latest' }) })
    expect(reply.headers.get('content-type')).toBe('application/x-ndjson')
    expect(await readLines(reply)).toEqual([
      { status: 'pulling manifest' },
      { status: 'pulling org/second', digest: 'org/second@main', total: 10, completed: 5 },
      { status: 'pulling org/second', digest: 'org/second@main', total: 10, completed: 10 },
      { status: 'success' },
    ])
    expect(slot.loaded).toEqual([])
  })

  test('ends with the error, in a line once the reply has begun', async () => {
    const { base, call } = await setUp({
      pull: () => Promise.reject(new AppError('dependency_unavailable', 'the hub is away')),
    })
    const reply = await fetch(`${base}/api/pull`, { method: 'POST', ...json({ model: 'org/second' }) })
    expect((await readLines(reply)).at(-1)).toEqual({ error: 'the hub is away' })
    const whole = await call('POST', '/api/pull', json({ model: 'org/second', stream: false }))
    expect([whole.status, whole.body]).toEqual([503, { error: 'the hub is away' }])
    expect(await call('POST', '/api/pull', json({}))).toMatchObject({
      status: 400,
      body: { error: expect.any(String) },
    })
  })

  test('stops when its reader leaves', async () => {
    const left = gate()
    const { base } = await setUp({
      pull: (_choice, _onProgress, signal) =>
        new Promise((_done, reject) =>
          signal.addEventListener('abort', () => {
            left.resolve()
            reject(signal.reason)
          }),
        ),
    })
    const leave = new AbortController()
    const reply = await fetch(`${base}/api/pull`, {
      method: 'POST',
      ...json({ model: 'org/second' }),
      signal: leave.signal,
    })
    await reply.body?.getReader().read()
    leave.abort()
    await left.promise
    expect(reply.status).toBe(200)
  })
})

describe('GET /v1/models/{id}/events', () => {
  /** Reads events until one satisfies `isLast`. */
  async function listen(base: string, id: string, isLast: (data: Record<string, unknown>) => boolean) {
    const reply = await fetch(`${base}/v1/models/${id}/events`)
    expect(reply.headers.get('content-type')).toContain('text/event-stream')
    const events: Record<string, unknown>[] = []
    let rest = ''
    for await (const chunk of reply.body ?? []) {
      rest += new TextDecoder().decode(chunk)
      const parts = rest.split('\n\n')
      rest = parts.pop() ?? ''
      for (const part of parts)
        events.push(z.record(z.string(), z.unknown()).parse(JSON.parse(part.split('data: ')[1] ?? '')))
      const last = events.at(-1)
      if (last && isLast(last)) break
    }
    return events
  }

  test('tells the state at once, then each change, with the download’s figures', async () => {
    const fetching = gate()
    const loading = gate()
    const { base, slot } = await setUp({
      fetch: async (onProgress) => {
        onProgress({ bytes: 10, totalBytes: 100, files: { done: 0, total: 2 } })
        await fetching.promise
      },
      engines: { 'org/first': { load: () => loading.promise } },
    })
    const states: unknown[] = []
    const heard = listen(base, 'org/first', ({ state }) => {
      if (states.at(-1) !== state) states.push(state)
      if (state === 'idle') slot.ready(never).catch(() => undefined)
      if (state === 'fetching') fetching.resolve()
      if (state === 'loading') loading.resolve()
      return state === 'ready'
    })
    const events = await heard
    expect(states.at(0)).toBe('idle')
    expect(states.at(-1)).toBe('ready')
    expect(events).toContainEqual(expect.objectContaining({ model: 'org/first', state: 'fetching' }))
    expect(events.at(-1)).toMatchObject({ model: 'org/first', state: 'ready', source: 'hub' })
  })

  test('follows a model that comes beside another', async () => {
    const { base, slot } = await setUp()
    await slot.ready(never)
    const heard = listen(base, 'org%2Fsecond', ({ state }) => {
      if (state === 'idle') void slot.load(slot.choices.find('org/second') ?? slot.choice, never)
      return state === 'ready'
    })
    expect((await heard).at(-1)).toMatchObject({ model: 'org/second', state: 'ready' })
  })

  test('ends when the service stops, which does not wait for its readers', async () => {
    const { base, server } = await setUp()
    const reply = await fetch(`${base}/v1/models/any/events`)
    const read = reply.text()
    await server.close()
    expect(await read).toContain('"state":"idle"')
  })

  test('has room for so many', async () => {
    const { base } = await setUp()
    const leave = new AbortController()
    const { signal } = leave
    const replies = await Promise.all(
      Array.from({ length: 64 }, () => fetch(`${base}/v1/models/any/events`, { signal })),
    )
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
    expect((await fetch(`${base}/v1/models/any/events`)).status).toBe(429)
    leave.abort()
    while ((await fetch(`${base}/v1/models/any/events`, { signal: AbortSignal.timeout(5000) })).status === 429)
      await settle()
  })
})

test('GET /v1/models lists what may be asked for, with its state', async () => {
  const { call } = await setUp()
  await call('POST', '/double/any')
  const { body } = await call('GET', '/v1/models')
  expect(body.data.map(({ id, state }: { id: string; state: string }) => [id, state])).toEqual([
    ['org/first', 'ready'],
    ['org/second', 'idle'],
    ['any', 'ready'],
  ])
  expect((await call('GET', '/v1/models/org/second')).body).toMatchObject({ id: 'org/second', state: 'idle' })
  expect((await call('GET', '/v1/models/demo/tiny')).body).toMatchObject({ state: 'idle' })
  expect((await call('GET', '/v1/models/org/third')).status).toBe(404)
})
