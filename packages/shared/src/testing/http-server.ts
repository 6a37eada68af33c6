/** A Hearth app behind a real port, and clients that speak raw bytes: what a proper HTTP client refuses to send is what servers must survive. */
import { EventEmitter } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Hono } from 'hono'
import { type AppEnv, type AppOptions, createApp } from '../http.ts'
import { type ProcessHost, serve, type ServeOptions } from '../serve.ts'
import { createLogger, createMetrics } from '../telemetry.ts'

export type TestServerOptions = Partial<AppOptions> & Partial<Omit<ServeOptions, 'app' | 'host'>>

export type TestServer = Awaited<ReturnType<typeof startServer>>

/** Listens on a free port. `events` takes signals, `exits` gets exit codes, `lines` everything that was logged. */
export async function startServer(
  routes: (app: Hono<AppEnv>) => void = () => undefined,
  options: TestServerOptions = {},
) {
  const lines: Record<string, unknown>[] = []
  const log = createLogger({ service: 'test', level: 'debug' }, { write: (line) => void lines.push(JSON.parse(line)) })
  let isDraining = false
  const app = createApp({
    service: 'test',
    models: () => [],
    isDraining: () => isDraining,
    log,
    metrics: createMetrics('test'),
    maxBodyBytes: 1000,
    ...options,
  })
  routes(app)
  const { host, events, exits } = createHost()
  const onDrain = () => void (isDraining = true)
  const served = await serve({ app, port: 0, hostname: '127.0.0.1', log, onDrain, close: [], ...options, host })
  return { ...served, base: `http://127.0.0.1:${served.port}`, events, exits, lines }
}

/** A process whose signals and exits are in the test's hands. */
export function createHost() {
  const events = new EventEmitter()
  const exits: { code: number; how: string }[] = []
  const host: ProcessHost = {
    on: (event, listener) => events.on(event, listener),
    off: (event, listener) => events.off(event, listener),
    exit: (code, how) => void exits.push({ code, how }),
  }
  return { host, events, exits }
}

/** A connection that collects what comes; errors of the connection only end it. */
export function openSocket(port: number, request = ''): { socket: Socket; closed: Promise<string> } {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
  socket.on('error', () => undefined)
  socket.write(request, 'latin1')
  return { socket, closed: new Promise((done) => socket.once('close', () => done(answer))) }
}

export type RawAnswer = { status: number; headers: Record<string, string>; body: string }

/** Sends raw bytes, gives the first answer, interim ones (100) left out. The server has to close the connection. */
export async function sendRaw(port: number, request: string): Promise<RawAnswer> {
  const { closed } = openSocket(port, request)
  const [head = '', ...rest] = (await closed).replace(/^HTTP\/1\.1 1\d\d .*\r\n\r\n/, '').split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const headers = lines.map((line) => [
    line.slice(0, line.indexOf(':')).toLowerCase(),
    line.slice(line.indexOf(':') + 2),
  ])
  return { status: Number(first.split(' ')[1]), headers: Object.fromEntries(headers), body: rest.join('\r\n\r\n') }
}
