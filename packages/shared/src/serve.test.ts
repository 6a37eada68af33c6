import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Hono } from 'hono'
import { afterEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { type AppEnv, createApp, requestSignal } from './http.ts'
import { readForm, readJson } from './request-body.ts'
import { serve, type Served } from './serve.ts'
import { createLogger, createMetrics } from './telemetry.ts'
import { createHost, openSocket, startServer, type TestServerOptions } from './testing/http-server.ts'
import { gate, settle } from './testing/signals.ts'

const log = createLogger({ service: 'test', level: 'silent' })
const served: Served[] = []
afterEach(async () => {
  for (const one of served.splice(0)) await one.close()
})

async function start(
  routes: (app: Hono<AppEnv>) => void = () => undefined,
  close: (() => Promise<void>)[] = [],
  options: TestServerOptions = {},
) {
  const one = await startServer(routes, { close, ...options })
  served.push(one)
  return one
}

/** A route whose reply waits until `hold` opens. */
function slowRoute() {
  const [entered, hold] = [gate(), gate()]
  const routes = (app: Hono<AppEnv>) =>
    app.get('/slow', async (c) => {
      entered.resolve()
      await hold.promise
      return c.text('done')
    })
  return { entered, hold, routes }
}

/** Where Node tells of what its servers are asked. */
const REQUESTS = 'http.server.request.start'

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
    await expect(fetch(`${base}/health`)).rejects.toThrow('fetch failed')
    hold.resolve()
    expect(await (await answer).text()).toBe('done')
    await served[0]?.close()
    await settle()
    expect(closed).toEqual(['queue', 'broken', 'model'])
    expect(exits).toEqual([{ code: 0, how: 'at once' }])
  })

  test('sockets that carry no reply close at once: idle, silent, or with half a header', async () => {
    const { port, base, close } = await start(undefined, [], { drainMs: 60_000 })
    await fetch(`${base}/health`)
    const sockets = ['', 'GET /hea', 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n'].map((text) => openSocket(port, text))
    await Promise.all(sockets.map(({ socket }) => once(socket, 'connect')))
    await once(sockets[2]?.socket ?? connect(port), 'data')
    await close()
    expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual(['', '', expect.stringContaining('200 OK')])
  })

  test('a busy kept-alive connection is told to close, and closes with its reply', async () => {
    const { entered, hold, routes } = slowRoute()
    const { port, close } = await start(routes, [], { drainMs: 60_000 })
    const { closed } = openSocket(port, 'GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
    await entered.promise
    const closing = close()
    hold.resolve()
    expect(await closed).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)*connection: close\r\n(?:.+\r\n)*\r\ndone$/i)
    await closing
  })

  /** A reply that has begun, so that it can't say any more that its connection will close. */
  async function startStream() {
    const hold = gate()
    const routes = (app: Hono<AppEnv>) =>
      app.get('/stream', (c) =>
        c.body(
          new ReadableStream<Uint8Array>({
            async start(controller) {
              controller.enqueue(Buffer.from('first '))
              await hold.promise
              controller.enqueue(Buffer.from('last'))
              controller.close()
            },
          }),
        ),
      )
    const { port, close } = await start(routes, [], { drainMs: 60_000, limits: { keepAliveTimeout: 60_000 } })
    const { socket, closed } = openSocket(port, 'GET /stream HTTP/1.1\r\nhost: x\r\n\r\n')
    await once(socket, 'data')
    return { hold, close, socket, closed }
  }

  test('a reply that has begun ends whole, and its connection with it', async () => {
    const { hold, close, closed } = await startStream()
    const closing = close()
    hold.resolve()
    expect(await closed).toMatch(/first [^]*last\r\n0\r\n\r\n$/)
    await closing
  })

  test('what comes on a busy connection is answered 503 draining', async () => {
    const { hold, close, socket, closed } = await startStream()
    const closing = close()
    const seen = gate()
    subscribe(REQUESTS, () => seen.resolve())
    socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
    await seen.promise
    hold.resolve()
    const answer = await closed
    expect(answer).toContain('last')
    expect(answer).toContain('"code":"draining"')
    expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(1)
    await closing
  })

  test('a reply that never ends is cut after its time', async () => {
    const { entered, hold, routes } = slowRoute()
    const { port, close } = await start(routes, [], { drainMs: 20 })
    const { closed } = openSocket(port, 'GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
    await entered.promise
    await close()
    expect(await closed).toBe('')
    hold.resolve()
  })

  test('a part that hangs or throws, also outside its promise, does not keep the others open', async () => {
    const closed: string[] = []
    const parts = [
      () => new Promise<void>(() => undefined),
      () => {
        throw new Error('not even a promise')
      },
      async () => void closed.push('last'),
    ]
    const onDrain = () => {
      throw new Error('broken')
    }
    const { close, lines } = await start(undefined, parts, { closeMs: 10, onDrain })
    await close()
    expect(closed).toEqual(['last'])
    const told = lines
      .filter(({ msg }) => msg === 'a part did not close')
      .map(({ err }) => z.object({ message: z.string() }).parse(err).message)
    expect(told).toEqual(['broken', 'not closed after 10 ms', 'not even a promise'])
  })

  test('an error that nobody caught while draining leaves time to finish', async () => {
    const hold = gate()
    const { events, exits, close } = await start(undefined, [() => hold.promise])
    events.emit('SIGTERM')
    events.emit('unhandledRejection', new Error('nobody caught this'))
    await settle()
    expect(exits).toEqual([])
    hold.resolve()
    await close()
    await settle()
    expect(exits).toEqual([{ code: 1, how: 'in order' }])
  })

  test('once closed, nothing listens to the process any more', async () => {
    const { events, close } = await start()
    expect(events.eventNames()).toContain('SIGTERM')
    await close()
    expect(events.eventNames()).toEqual([])
  })

  test('a second signal leaves at once', async () => {
    const hold = gate()
    const { events, exits } = await start(() => undefined, [() => hold.promise])
    events.emit('SIGTERM')
    events.emit('SIGINT')
    expect(exits).toEqual([{ code: 130, how: 'at once' }])
    hold.resolve()
  })

  test('a signal that comes with the end of the parent is no second one', async () => {
    const hold = gate()
    const { events, exits, close } = await start(() => undefined, [() => hold.promise])
    events.emit('disconnect')
    events.emit('SIGTERM')
    expect(exits).toEqual([])
    hold.resolve()
    await close()
    await settle()
    expect(exits).toEqual([{ code: 0, how: 'in order' }])
  })

  test('an error that nobody caught drains and exits with 1', async () => {
    const { events, exits } = await start(() => undefined)
    events.emit('uncaughtException', new Error('nobody caught this'))
    await served[0]?.close()
    await settle()
    expect(exits).toEqual([{ code: 1, how: 'in order' }])
  })

  test('the end of the program that started it is a reason to stop', async () => {
    const { events, exits } = await start(() => undefined)
    events.emit('disconnect')
    await served[0]?.close()
    await settle()
    expect(exits).toEqual([{ code: 0, how: 'in order' }])
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
    })
  expect((await post(5)).status).toBe(200)
  const refused = await post(20)
  expect(refused.status).toBe(413)
  expect(await refused.json()).toMatchObject({ error: { code: 'body_too_large' } })
})

test.each([
  ['GET', ''],
  ['POST', 'transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n'],
])('the signal of a %s request aborts with `cancelled` when its client leaves', async (method, rest) => {
  const [entered, logged] = [gate(), gate<unknown>()]
  const { port, lines } = await start((app) =>
    app.on(method, '/wait', async (c) => {
      if (method === 'POST') await c.req.raw.arrayBuffer()
      const signal = requestSignal(c)
      entered.resolve()
      await new Promise((_done, fail) => signal.addEventListener('abort', () => fail(signal.reason)))
      return c.text('')
    }),
  )
  const push = lines.push.bind(lines)
  lines.push = (...items) => {
    for (const item of items) if (item['route'] === '/wait') logged.resolve(item)
    return push(...items)
  }
  const { socket } = openSocket(port, `${method} /wait HTTP/1.1\r\nhost: x\r\n${rest}\r\n`)
  await entered.promise
  socket.destroy()
  expect(await logged.promise).toMatchObject({ status: 499, code: 'cancelled' })
  expect(lines.filter(({ level }) => Number(level) >= 40)).toEqual([])
})

test('the signal of a request stays still when the reply is complete', async () => {
  let signal: AbortSignal | undefined
  const { base } = await start((app) =>
    app.get('/quick', (c) => {
      signal = requestSignal(c)
      return c.text('')
    }),
  )
  await (await fetch(`${base}/quick`)).text()
  await served[0]?.close()
  expect(signal?.aborted).toBe(false)
})

test('a reader that stops reading is cut off; a reply that is long in the making is not', async () => {
  const [left, hold] = [gate(), gate()]
  const { port, base } = await start(
    (app) => {
      app.get('/large', (c) => {
        requestSignal(c).addEventListener('abort', () => left.resolve())
        return c.body(new Uint8Array(64 * 1024 * 1024))
      })
      app.get('/slow', async (c) => {
        await hold.promise
        return c.text('done')
      })
    },
    [],
    // It counts from the connection on: longer than this machine stands still before it has read the request.
    { limits: { stallTimeout: 1000 } },
  )
  const slow = fetch(`${base}/slow`)
  const { socket } = openSocket(port, 'GET /large HTTP/1.1\r\nhost: x\r\n\r\n')
  socket.pause()
  await left.promise
  hold.resolve()
  expect(await (await slow).text()).toBe('done')
  socket.destroy()
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
