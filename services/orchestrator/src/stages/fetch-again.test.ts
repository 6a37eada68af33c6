import dns from 'node:dns'
import type { ServerResponse } from 'node:http'
import { afterEach, expect, test, vi } from 'vitest'
import { startStub } from '../testing/http-stub.ts'
import type { HttpStub } from '../testing/http-stub.ts'
import { fetchAgain } from './fetch-again.ts'

let stub: HttpStub | undefined
afterEach(async () => {
  vi.restoreAllMocks()
  await stub?.close()
  stub = undefined
})

const live = () => new AbortController().signal
type Answer = (response: ServerResponse) => void

/** Answers the first call with `first`, and those after it with 200. */
async function setUp(first: Answer) {
  let calls = 0
  stub = await startStub((response) => (calls++ === 0 ? first(response) : response.end('hello')))
  return stub
}

test.each<[string, Answer]>([
  ['a connection that is reset', (response) => response.destroy()],
  ['500', (response) => response.writeHead(500).end('oops')],
  ['503', (response) => response.writeHead(503).end('busy')],
])('%s before the first byte is tried once more, with the same body', async (_, first) => {
  const { url, asked } = await setUp(first)
  const response = await fetchAgain(url, { method: 'POST', body: 'hi', signal: live() })
  expect([response.status, await response.text()]).toEqual([200, 'hello'])
  expect(asked.map(({ body }) => body)).toEqual(['hi', 'hi'])
})

test.each<[number, Record<string, string>]>([
  [400, {}],
  [404, {}],
  [429, {}],
  [429, { 'retry-after': '1' }],
  [503, { 'retry-after': '1' }],
  [200, {}],
])('%i with %j is the answer', async (status, headers) => {
  const { url, asked } = await setUp((response) => response.writeHead(status, headers).end())
  expect((await fetchAgain(url, { signal: live() })).status).toBe(status)
  expect(asked).toHaveLength(1)
})

test('the second answer is the last', async () => {
  stub = await startStub((response) => response.writeHead(500).end())
  expect((await fetchAgain(stub.url, { signal: live() })).status).toBe(500)
  expect(stub.asked).toHaveLength(2)
})

test('an answer that breaks off after its beginning is not asked for again', async () => {
  const { url, asked } = await setUp((response) => {
    response.writeHead(200, { 'content-length': '10' })
    response.write('hel', () => response.destroy())
  })
  const response = await fetchAgain(url, { signal: live() })
  await expect(response.text()).rejects.toThrow('terminated')
  expect(asked).toHaveLength(1)
})

test('a name that is not found at first is looked up once more', async () => {
  const { port } = new URL((await setUp((response) => response.end('hello'))).url)
  const real = dns.lookup
  const again = Object.assign(new Error('getaddrinfo EAI_AGAIN somewhere'), { code: 'EAI_AGAIN' })
  const lookup = vi.spyOn(dns, 'lookup')
  lookup.mockImplementation(((_host: string, options: object, done: (...results: unknown[]) => void) => {
    if (lookup.mock.calls.length === 1) process.nextTick(done, again)
    else real('127.0.0.1', options, done)
  }) as typeof real)
  const response = await fetchAgain(`http://somewhere:${port}`, { signal: live() })
  expect(await response.text()).toBe('hello')
  expect(lookup).toHaveBeenCalledTimes(2)
})

test('who has left is not asked for again', async () => {
  const stop = new AbortController()
  const { url, asked } = await setUp(() => stop.abort(new Error('left')))
  await expect(fetchAgain(url, { signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' })
  expect(asked).toHaveLength(1)
})
