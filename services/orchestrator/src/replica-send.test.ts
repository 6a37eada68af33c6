/** Requests over real servers on sockets of this machine, which come, go and fail as a test says. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { createReplicaSend } from './replica-send.ts'

const NAME = 'http://stt:8081'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

type Behaviour = (request: IncomingMessage, response: ServerResponse) => unknown

/** A replica that answers with what it was sent; `seen` holds the bodies. `isReady` is its answer to /ready. */
async function startReplica(behaviour: Behaviour = (_request, response) => response.end('heard')) {
  const replica = { url: '', seen: [] as string[], isReady: true, close: () => Promise.resolve() }
  const answer: Behaviour = async (request, response) => {
    if (request.url === '/ready') return response.writeHead(replica.isReady ? 200 : 503).end()
    replica.seen.push(await text(request))
    return behaviour(request, response)
  }
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  replica.url = `http://127.0.0.1:${address.port}`
  replica.close = async () => {
    if (!server.listening) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  closing.push(replica.close)
  return replica
}

/** A sender over these addresses, and a clock that the test moves. */
function sender(urls: () => readonly string[]) {
  let nowMs = 0
  const send = createReplicaSend({ find: async () => urls(), now: () => nowMs })
  const post = (body: string) => send(`${NAME}/v1/x?y=1`, () => ({ method: 'POST', body }))
  return { send, post, pass: (ms: number) => (nowMs += ms) }
}

const cut: Behaviour = (_request, response) => response.destroy()

describe('requests to one name', () => {
  test('go to all of its replicas in turn', async () => {
    const replicas = [await startReplica(), await startReplica(), await startReplica()]
    const { post } = sender(() => replicas.map(({ url }) => url))
    for (let count = 0; count < 9; count++) expect((await post('a')).status).toBe(200)
    expect(replicas.map(({ seen }) => seen.length)).toEqual([3, 3, 3])
  })

  test('go to the one with the fewest under way', async () => {
    const held = Promise.withResolvers<ServerResponse>()
    const slow = await startReplica((_request, response) => held.resolve(response))
    const quick = await startReplica()
    const { post } = sender(() => [slow.url, quick.url])
    const first = post('first')
    const response = await held.promise
    for (let count = 0; count < 4; count++) await post('next')
    expect([slow.seen.length, quick.seen.length]).toEqual([1, 4])
    response.end('heard')
    expect(await (await first).text()).toBe('heard')
  })

  test('are sent again when nobody listens any more', async () => {
    const gone = await startReplica()
    const there = await startReplica()
    const { post } = sender(() => [gone.url, there.url])
    // Both are known as ready before one goes.
    await post('a')
    await gone.close()
    for (let count = 0; count < 4; count++) expect((await post('b')).status).toBe(200)
    expect(there.seen.length).toBeGreaterThanOrEqual(4)
  })

  test('are sent again, whole, when the connection is cut before an answer', async () => {
    const broken = await startReplica(cut)
    const there = await startReplica()
    const { post } = sender(() => [broken.url, there.url])
    for (let count = 0; count < 2; count++) expect(await (await post('the body')).text()).toBe('heard')
    expect(broken.seen).toEqual(['the body'])
    expect(there.seen).toEqual(['the body', 'the body'])
  })

  test('are sent again when a replica says that it stops, and the last answer counts', async () => {
    const stopping = [503, 503].map((status) =>
      startReplica((_request, response) => response.writeHead(status).end('no')),
    )
    const [one, other] = await Promise.all(stopping)
    const { post } = sender(() => [one?.url ?? '', other?.url ?? ''])
    const answer = await post('a')
    expect([answer.status, await answer.text()]).toEqual([503, 'no'])
    expect([one?.seen.length, other?.seen.length]).toEqual([1, 1])
  })

  test('are not sent again when that cannot be done', async () => {
    const broken = await startReplica(cut)
    const there = await startReplica()
    const { send } = sender(() => [broken.url, there.url])
    let asked = 0
    const sent = send(`${NAME}/x`, () => (asked++ === 0 ? { method: 'POST', body: 'once' } : null))
    await expect(sent).rejects.toThrow('fetch failed')
    expect(there.seen).toEqual([])
  })

  test('are not sent again once their caller has left', async () => {
    const stop = new AbortController()
    const left = await startReplica((_request, response) => {
      stop.abort(new Error('left'))
      response.destroy()
    })
    const there = await startReplica()
    const { send } = sender(() => [left.url, there.url])
    await expect(send(`${NAME}/x`, () => ({ signal: stop.signal }))).rejects.toThrow('left')
    expect(there.seen).toEqual([])
  })

  test('wait for nobody who is not ready yet, and find who comes', async () => {
    const there = await startReplica()
    const coming = await startReplica()
    coming.isReady = false
    const urls = [there.url]
    const { post, pass } = sender(() => urls)
    await post('a')
    urls.push(coming.url)
    pass(10_000)
    for (let count = 0; count < 3; count++) await post('b')
    expect(coming.seen).toEqual([])
    coming.isReady = true
    pass(10_000)
    for (let count = 0; count < 4; count++) await post('c')
    expect(coming.seen).toEqual(['c', 'c'])
  })

  test('go on to somebody when nobody is ready: it knows how long its model will take', async () => {
    const replicas = [await startReplica(), await startReplica()]
    for (const replica of replicas) replica.isReady = false
    const { post } = sender(() => replicas.map(({ url }) => url))
    expect((await post('a')).status).toBe(200)
  })
})
