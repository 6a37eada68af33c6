import { EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import type { Hono } from 'hono'
import { afterEach, describe, expect, test } from 'vitest'
import { type AppEnv, createApp, requestSignal } from './http.ts'
import { readForm, readJson } from './request-body.ts'
import { type ProcessHost, serve, type Served } from './serve.ts'
import { createLogger, createMetrics } from './telemetry.ts'
import { gate, settle } from './testing/signals.ts'
import * as z from 'zod'

const log = createLogger({ service: 'test', level: 'silent' })
const served: Served[] = []
afterEach(async () => {
  for (const one of served.splice(0)) await one.close()
})

function createHost() {
  const events = new EventEmitter()
  const exits: number[] = []
  const host: ProcessHost = {
    on: (event, listener) => events.on(event, listener),
    exit: (code) => void exits.push(code),
  }
  return { host, events, exits }
}

async function start(routes: (app: Hono<AppEnv>) => void, close: (() => Promise<void>)[] = []) {
  const state = { isDraining: false }
  const app = createApp({
    service: 'test',
    models: () => [],
    isDraining: () => state.isDraining,
    log,
    metrics: createMetrics('test'),
    maxBodyBytes: 1000,
  })
  routes(app)
  const { host, events, exits } = createHost()
  const one = await serve({
    app,
    port: 0,
    hostname: '127.0.0.1',
    log,
    onDrain: () => (state.isDraining = true),
    close,
    host,
  })
  served.push(one)
  return { ...one, base: `http://127.0.0.1:${one.port}`, events, exits }
}

/** Sends raw bytes, gives everything that comes back. */
async function raw(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(request)
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
  socket.on('error', () => undefined)
  await once(socket, 'close')
  return answer
}

describe('draining', () => {
  test('what is in flight finishes, then the parts close in order, even after one that throws', async () => {
    const [entered, hold] = [gate(), gate()]
    const closed: string[] = []
    const { base, events, exits } = await start(
      (app) =>
        app.get('/slow', async (c) => {
          entered.resolve()
          await hold.promise
          return c.text('done')
        }),
      [
        async () => void closed.push('queue'),
        async () => {
          closed.push('broken')
          throw new Error('broken')
        },
        async () => void closed.push('model'),
      ],
    )
    const answer = fetch(`${base}/slow`)
    await entered.promise
    events.emit('SIGTERM')
    await settle()
    expect(closed).toEqual([])
    await expect(fetch(`${base}/health`)).rejects.toThrow()
    hold.resolve()
    expect(await (await answer).text()).toBe('done')
    await served[0]?.close()
    await settle()
    expect(closed).toEqual(['queue', 'broken', 'model'])
    expect(exits).toEqual([0])
  })

  test('a second signal leaves at once', async () => {
    const hold = gate()
    const { events, exits } = await start(() => undefined, [() => hold.promise])
    events.emit('SIGINT')
    events.emit('SIGINT')
    expect(exits).toEqual([1])
    hold.resolve()
  })

  test('an error that nobody caught drains and exits with 1', async () => {
    const { events, exits } = await start(() => undefined)
    events.emit('uncaughtException', new Error('nobody caught this'))
    await served[0]?.close()
    await settle()
    expect(exits).toEqual([1])
  })

  test('the end of the program that started it is a reason to stop', async () => {
    const { events, exits } = await start(() => undefined)
    events.emit('disconnect')
    await served[0]?.close()
    await settle()
    expect(exits).toEqual([0])
  })
})

test('a port in use is told by its number', async () => {
  const { port } = await start(() => undefined)
  const app = createApp({ service: 'test', models: () => [], log, metrics: createMetrics('test'), maxBodyBytes: 1 })
  const second = serve({ app, port, hostname: '127.0.0.1', log, close: [], host: createHost().host })
  await expect(second).rejects.toThrow(`port ${port} on 127.0.0.1 is in use`)
})

const withRoutes = (app: Hono<AppEnv>) => {
  app.post('/json', async (c) => c.json(await readJson(c, z.strictObject({ a: z.number() }))))
  app.post('/form', async (c) => c.json({ fields: [...(await readForm(c)).keys()] }))
}

test.each([
  [
    'both length and chunks',
    'POST /json HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
  ],
  ['two lengths', 'POST /json HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}', 400],
  ['a negative length', 'POST /json HTTP/1.1\r\nhost: x\r\ncontent-length: -2\r\n\r\n', 400],
  ['a chunk size that is no number', 'POST /json HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 400],
  ['a NUL in a header', 'GET /health HTTP/1.1\r\nhost: x\r\na: \0\r\n\r\n', 400],
  ['an unknown method', 'FOO /health HTTP/1.1\r\nhost: x\r\n\r\n', 400],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01', 400],
  ['20 KB of header', `GET /health HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ['20 KB of address', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
])('malformed HTTP (%s) gets the one error body', async (_name, request, status) => {
  const { port } = await start(withRoutes)
  const [head = '', body = ''] = (await raw(port, request)).split('\r\n\r\n')
  expect(head).toContain(`HTTP/1.1 ${status} `)
  expect(JSON.parse(body)).toMatchObject({ error: { type: 'invalid_request_error', param: null } })
})

test('a body without a length is counted while it comes', async () => {
  const { base } = await start(withRoutes)
  const chunks = (count: number) =>
    new ReadableStream<Uint8Array>({
      start(controller) {
        for (let n = 0; n < count; n++) controller.enqueue(new Uint8Array(100).fill(0x20))
        controller.enqueue(new TextEncoder().encode('{"a":1}'))
        controller.close()
      },
    })
  const post = (count: number) =>
    fetch(`${base}/json`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: chunks(count),
      duplex: 'half',
    } as RequestInit)
  expect((await post(5)).status).toBe(200)
  const refused = await post(20)
  expect(refused.status).toBe(413)
  expect(await refused.json()).toMatchObject({ error: { code: 'body_too_large' } })
})

test('the signal of a request aborts when its client leaves', async () => {
  const [entered, left] = [gate(), gate()]
  const { port } = await start((app) =>
    app.get('/wait', async (c) => {
      requestSignal(c).addEventListener('abort', () => left.resolve())
      entered.resolve()
      await left.promise
      return c.text('')
    }),
  )
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /wait HTTP/1.1\r\nhost: x\r\n\r\n')
  await entered.promise
  socket.destroy()
  await left.promise
})

test('a body that breaks off is a client error, and the next request works', async () => {
  const { base, port } = await start(withRoutes)
  const socket = connect(port, '127.0.0.1')
  socket.end('POST /json HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"a"')
  socket.resume()
  await once(socket, 'close')
  const good = await fetch(`${base}/json`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"a":1}',
  })
  expect(await good.json()).toEqual({ a: 1 })
})
