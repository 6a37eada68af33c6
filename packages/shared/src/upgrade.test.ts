import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { Secret } from './config.ts'
import { guardUpgrade, type UpgradeOptions } from './upgrade.ts'

/** The status line that an upgrade with these headers gets. */
async function statusOf(headers: Record<string, string>, options: Partial<UpgradeOptions> = {}, path = '/talk') {
  const one = createServer()
  one.on(
    'upgrade',
    guardUpgrade({ path: '/talk', ...options }, (_request, socket) => void socket.end('HTTP/1.1 101 Taken\r\n\r\n')),
  )
  one.listen(0, '127.0.0.1')
  await once(one, 'listening')
  const { port } = one.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  const all = { host: `127.0.0.1:${port}`, connection: 'upgrade', upgrade: 'websocket', ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  const [data] = await once(socket, 'data')
  socket.destroy()
  one.closeAllConnections()
  one.close()
  return Number(/^HTTP\/1\.1 (\d+)/.exec(String(data))?.[1])
}

const apiKey = new Secret('a-long-enough-key')
const EXTENSION = 'chrome-extension://abc'

describe('a change to a WebSocket', () => {
  test.each<[string, number, Record<string, string>, Partial<UpgradeOptions>, string?]>([
    ['anybody where there is no key', 101, {}, {}],
    ['with a query', 101, {}, {}, '/talk?model=x'],
    ['another path', 404, {}, {}, '/other'],
    ['no key', 401, {}, { apiKey }],
    ['another key', 401, { authorization: 'Bearer wrong' }, { apiKey }],
    ['the key', 101, { authorization: 'Bearer a-long-enough-key' }, { apiKey }],
    [
      'the key as a subprotocol',
      101,
      { 'sec-websocket-protocol': 'realtime, openai-insecure-api-key.a-long-enough-key' },
      { apiKey },
    ],
    [
      'another key as a subprotocol',
      401,
      { 'sec-websocket-protocol': 'realtime, openai-insecure-api-key.no' },
      { apiKey },
    ],
    ['a page of this machine', 101, { origin: 'http://localhost:3000' }, {}],
    ['a page of another site', 403, { origin: 'https://evil.example' }, {}],
    [
      'a page of another site, with the key',
      403,
      { origin: 'https://evil.example', authorization: 'Bearer a-long-enough-key' },
      { apiKey },
    ],
    ['a page that is named', 101, { origin: 'https://home.example' }, { allowedOrigins: ['https://home.example'] }],
    ['under a name that leads here (DNS rebinding)', 403, { host: 'evil.example' }, {}],
    ['a page under its own name that leads here', 403, { host: 'evil.example', origin: 'http://evil.example' }, {}],
    ['under a name of the home network', 101, { host: 'hearth.lan:8080', origin: 'http://hearth.lan:8080' }, {}],
    ['under a name that is allowed', 101, { host: 'home.example' }, { allowedHosts: ['home.example'] }],
    ['under any name, with the key', 101, { host: 'a.example', authorization: 'Bearer a-long-enough-key' }, { apiKey }],
    ['without a name', 403, { host: '' }, {}],
    ['an opaque origin', 403, { origin: 'null' }, {}],
    ['an extension', 403, { origin: EXTENSION }, {}],
    ['an extension where they may', 101, { origin: EXTENSION }, { extensions: true }],
  ])('%s: %i', async (_what, status, headers, options, path) => {
    expect(await statusOf(headers, options, path)).toBe(status)
  })
})
