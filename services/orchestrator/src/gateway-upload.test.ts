/** An upload through the gateway while the replica that it goes to is away, or goes away. */
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { createApp } from '@hearth/shared/http'
import { serve } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { afterEach, expect, test } from 'vitest'
import { addGateway } from './gateway.ts'
import { createReplicaSend } from './replica-send.ts'
import { startPlainServer } from './testing/plain-server.ts'

const log = createLogger({ service: 'orchestrator', level: 'silent' })
const KIBIBYTE = 1024

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function startReplica(behaviour: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const server = await startPlainServer((request, response) => {
    if (request.url === '/ready') response.end()
    else void behaviour(request, response)
  })
  closing.push(server.close)
  return server.url
}

/** Answers with how many bytes came. */
const count = () =>
  startReplica(async (request, response) => {
    let bytes = 0
    for await (const piece of request) bytes += Buffer.byteLength(piece)
    response.end(`${bytes}`)
  })

/** Takes some bytes of the body, and is gone. */
const breakAfter = (limit: number) =>
  startReplica(async (request, response) => {
    let bytes = 0
    for await (const piece of request) if ((bytes += Buffer.byteLength(piece)) >= limit) break
    response.destroy()
  })

async function startGateway(replicas: readonly string[]) {
  const metrics = createMetrics('orchestrator')
  const app = createApp({ service: 'orchestrator', models: () => [], log, metrics, maxBodyBytes: 2 ** 24 })
  const service = 'http://replicas:1'
  const services = { stt: service, tts: service, embeddings: service }
  addGateway(app, { services, models: () => [], log, send: createReplicaSend({ find: async () => replicas }) })
  const host = Object.assign(new EventEmitter(), { exit: () => {} })
  const { port, close } = await serve({ app, port: 0, hostname: '127.0.0.1', log, close: [], drainMs: 100, host })
  closing.push(close)
  return `http://127.0.0.1:${port}/v1/audio/transcriptions`
}

/** A body that comes in pieces of a kibibyte, each in a turn of its own. */
async function* pieces(kibibytes: number) {
  for (let sent = 0; sent < kibibytes; sent++) {
    yield new Uint8Array(KIBIBYTE)
    await turn()
  }
}
const post = (url: string, kibibytes: number) =>
  fetch(url, { method: 'POST', body: ReadableStream.from(pieces(kibibytes)), duplex: 'half' })

test.each([
  ['before a byte of it was taken', 0],
  ['in the middle of it', 20 * KIBIBYTE],
])('a recording whose replica breaks off %s is sent whole to another', async (_when, bytes) => {
  const url = await startGateway([await breakAfter(bytes), await count()])
  for (let request = 0; request < 2; request++) expect(await (await post(url, 64)).text()).toBe(`${64 * KIBIBYTE}`)
})

test('a recording of any length goes to no address that nobody listens at', async () => {
  const url = await startGateway(['http://127.0.0.1:1', await count()])
  expect(await (await post(url, 3 * KIBIBYTE)).text()).toBe(`${3 * KIBIBYTE * KIBIBYTE}`)
})

test('a long recording that was taken in part is not kept for another replica', async () => {
  const url = await startGateway([await breakAfter(2 * KIBIBYTE * KIBIBYTE), await count()])
  const answer = await post(url, 3 * KIBIBYTE)
  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ error: { code: 'dependency_unavailable' } })
})
