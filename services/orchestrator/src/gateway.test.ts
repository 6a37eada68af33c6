/** The gateway between a real client and a real service, both on sockets of this machine. */
import { EventEmitter, once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createApp } from '@hearth/shared/http'
import { serve } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { afterEach, describe, expect, test } from 'vitest'
import { addGateway } from './gateway.ts'
import type { GatewayOptions } from './gateway.ts'
import { startPlainServer } from './testing/plain-server.ts'

const log = createLogger({ service: 'orchestrator', level: 'silent' })
const NOWHERE = 'http://127.0.0.1:1'
const MIND = { id: 'fake/mind', source: null, state: 'ready', progress: null, warning: null, error: null } as const
const UNUSED = { loadMs: null, firstInferenceMs: null, secondInferenceMs: null }

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** A model service that does what the test says; its address. */
async function startService(
  listener: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<string> {
  const server = await startPlainServer(listener)
  closing.push(server.close)
  return server.url
}

async function startGateway(services: Partial<GatewayOptions['services']>, options: Partial<GatewayOptions> = {}) {
  const metrics = createMetrics('orchestrator')
  const app = createApp({ service: 'orchestrator', models: () => [], log, metrics, maxBodyBytes: 100_000 })
  addGateway(app, {
    services: { stt: NOWHERE, tts: NOWHERE, embeddings: NOWHERE, ...services },
    models: () => [{ ...MIND, ...UNUSED }],
    log,
    ...options,
  })
  const host = Object.assign(new EventEmitter(), { exit: () => {} })
  const { port, close } = await serve({ app, port: 0, hostname: '127.0.0.1', log, close: [], drainMs: 100, host })
  closing.push(close)
  return `http://127.0.0.1:${port}`
}

/** Listens for as long as the test needs: `seen` resolves with the first request. */
function gate() {
  const seen = Promise.withResolvers<{ request: IncomingMessage; response: ServerResponse }>()
  return {
    listener: (request: IncomingMessage, response: ServerResponse) => seen.resolve({ request, response }),
    seen: seen.promise,
  }
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const answer = async (call: ReturnType<typeof httpRequest>): Promise<IncomingMessage> => {
  const [reply] = (await once(call, 'response')) as [IncomingMessage]
  return reply
}

describe('an upload', () => {
  test('arrives at the service while it is still being sent, without a length', async () => {
    const { listener, seen } = gate()
    const base = await startGateway({ stt: await startService(listener) })
    const call = httpRequest(`${base}/v1/audio/transcriptions?x=1`, { method: 'POST' })
    call.setHeader('content-type', 'multipart/form-data; boundary=b')
    call.write('first ')
    const { request, response } = await seen
    expect(request.headers).toMatchObject({
      'transfer-encoding': 'chunked',
      'content-type': 'multipart/form-data; boundary=b',
    })
    expect(request.url).toBe('/v1/audio/transcriptions?x=1')
    const [first] = (await once(request, 'data')) as [Buffer]
    expect(first.toString()).toBe('first ')
    call.end('last')
    expect(await readAll(request)).toBe('last')
    response.end('heard')
    expect(await readAll(await answer(call))).toBe('heard')
  })

  test('with a length keeps it', async () => {
    const stt = await startService(async (request, response) => {
      response.end(`${request.headers['content-length']} ${await readAll(request)}`)
    })
    const base = await startGateway({ stt })
    const reply = await fetch(`${base}/v1/audio/translations`, { method: 'POST', body: 'hello' })
    expect(await reply.text()).toBe('5 hello')
  })

  test('that expects 100-continue is told to go on', async () => {
    const stt = await startService(async (request, response) => void response.end(await readAll(request)))
    const base = await startGateway({ stt })
    const call = httpRequest(`${base}/v1/audio/transcriptions`, { method: 'POST', headers: { expect: '100-continue' } })
    call.flushHeaders()
    await once(call, 'continue')
    call.end('hello')
    expect(await readAll(await answer(call))).toBe('hello')
  })

  test('that breaks off breaks off at the service too', async () => {
    const { listener, seen } = gate()
    const base = await startGateway({ stt: await startService(listener) })
    const call = httpRequest(`${base}/v1/audio/transcriptions`, { method: 'POST' }).on('error', () => {})
    call.write('first')
    const { request } = await seen
    const cut = Promise.withResolvers<void>()
    request
      .on('error', () => {})
      .on('close', cut.resolve)
      .resume()
    call.destroy()
    await cut.promise
    expect(request.complete).toBe(false)
  })

  test('past the limit is refused as too large, with or without a length', async () => {
    const stt = await startService((request, response) => void request.resume().on('end', () => response.end()))
    const base = await startGateway({ stt })
    for (const isChunked of [false, true]) {
      const call = httpRequest(`${base}/v1/audio/transcriptions`, { method: 'POST' }).on('error', () => {})
      if (isChunked) call.setHeader('transfer-encoding', 'chunked')
      call.end(Buffer.alloc(100_001))
      const reply = await answer(call)
      expect(reply.statusCode).toBe(413)
      expect(JSON.parse(await readAll(reply))).toMatchObject({ error: { code: 'body_too_large' } })
    }
  })

  test('that the service refuses before its end gets the refusal', async () => {
    const refusal = {
      error: { message: 'too long', type: 'invalid_request_error', param: 'file', code: 'audio_too_long' },
    }
    const stt = await startService((_, response) => {
      response.writeHead(413, { 'content-type': 'application/json' }).end(JSON.stringify(refusal))
    })
    const base = await startGateway({ stt })
    const call = httpRequest(`${base}/v1/audio/transcriptions`, { method: 'POST' }).on('error', () => {})
    call.write('first')
    const reply = await answer(call)
    expect(reply.statusCode).toBe(413)
    expect(JSON.parse(await readAll(reply))).toEqual(refusal)
    call.destroy()
  })
})

describe('a reply', () => {
  test('reaches the client piece by piece while the service still makes it', async () => {
    const { listener, seen } = gate()
    const base = await startGateway({ tts: await startService(listener) })
    const reply = fetch(`${base}/v1/audio/speech`, { method: 'POST', body: '{}' })
    const { response } = await seen
    response.writeHead(200, { 'content-type': 'audio/pcm' })
    response.write('first')
    const reader = (await reply).body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first')
    response.end('last')
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('last')
    expect((await reader?.read())?.done).toBe(true)
  })

  test('has the status, the useful headers and the request id, but no cookies', async () => {
    const tts = await startService((request, response) => {
      response.writeHead(201, {
        'content-type': 'audio/wav',
        'x-model': 'demo/kokoro',
        'x-request-id': 'another',
        'x-total-time': '12.5',
        'server-timing': 'queue;dur=1.0, inference;dur=2.0, total;dur=12.5',
        'set-cookie': 'a=b',
        'access-control-allow-origin': '*',
        'keep-alive': 'timeout=5',
      })
      response.end(JSON.stringify(request.headers))
    })
    const base = await startGateway({ tts })
    const headers = { 'x-request-id': 'id-1', cookie: 'a=b', authorization: 'Bearer x', te: 'trailers' }
    const reply = await fetch(`${base}/v1/audio/voices`, { headers })
    expect(reply.status).toBe(201)
    expect(Object.fromEntries(reply.headers)).toMatchObject({
      'content-type': 'audio/wav',
      'x-model': 'demo/kokoro',
      'x-request-id': 'id-1',
      'server-timing': expect.stringMatching(/^queue;dur=1.0, inference;dur=2.0, tts;dur=12.5, total;dur=[\d.]+$/),
    })
    expect(reply.headers.get('set-cookie')).toBeNull()
    expect(reply.headers.get('access-control-allow-origin')).toBeNull()
    const theirs: unknown = await reply.json()
    expect(theirs).toMatchObject({ 'x-request-id': 'id-1', accept: '*/*' })
    for (const name of ['cookie', 'authorization', 'te']) expect(theirs).not.toHaveProperty(name)
  })

  test('that is an error is passed unchanged, with its time to wait', async () => {
    const refusal = JSON.stringify({ error: { message: 'no', type: 'x', param: 'voice', code: 'a_code_of_tomorrow' } })
    const tts = await startService((_, response) => {
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after-ms': '250', 'x-should-retry': 'true' })
      response.end(refusal)
    })
    const base = await startGateway({ tts })
    const reply = await fetch(`${base}/v1/audio/speech`, { method: 'POST', body: '{}' })
    expect([reply.status, await reply.text()]).toEqual([429, refusal])
    expect(Object.fromEntries(reply.headers)).toMatchObject({ 'retry-after-ms': '250', 'x-should-retry': 'true' })
  })

  test('ends at the service when the client leaves in the middle', async () => {
    const { listener, seen } = gate()
    const base = await startGateway({ tts: await startService(listener) })
    const leaving = new AbortController()
    const reply = fetch(`${base}/v1/audio/speech`, { method: 'POST', body: '{}', signal: leaving.signal })
    const { response } = await seen
    const cut = once(response, 'close')
    response.writeHead(200).write('first')
    const reader = (await reply).body?.getReader()
    await reader?.read()
    leaving.abort()
    await cut
    await expect(reader?.read()).rejects.toThrow(/abort/)
  })

  test('is not waited for at the service when the client leaves before it', async () => {
    const { listener, seen } = gate()
    const base = await startGateway({ tts: await startService(listener) })
    const leaving = new AbortController()
    const reply = fetch(`${base}/v1/audio/speech`, { method: 'POST', body: '{}', signal: leaving.signal })
    const { response } = await seen
    const cut = once(response, 'close')
    leaving.abort()
    await expect(reply).rejects.toThrow(/abort/)
    await cut
  })

  test('that the service breaks off is broken off, never made to look whole', async () => {
    const { listener, seen } = gate()
    const base = await startGateway({ tts: await startService(listener) })
    const reply = fetch(`${base}/v1/audio/speech`, { method: 'POST', body: '{}' })
    const { response } = await seen
    response.writeHead(200).write('first')
    const whole = (await reply).arrayBuffer()
    response.destroy()
    await expect(whole).rejects.toThrow('terminated')
  })
})

describe('a service that is away', () => {
  test('is an error that names it and says when to try again', async () => {
    const base = await startGateway({})
    for (const [path, stage] of [
      ['/v1/audio/transcriptions', 'stt'],
      ['/v1/audio/speech', 'tts'],
      ['/v1/embeddings', 'embeddings'],
    ]) {
      const reply = await fetch(`${base}${path}`, { method: 'POST', body: 'x' })
      expect(reply.status).toBe(503)
      expect(reply.headers.get('x-should-retry')).toBe('true')
      expect(await reply.json()).toMatchObject({ error: { code: 'dependency_unavailable' }, stage })
    }
  })

  test('is told before the upload has ended', async () => {
    const base = await startGateway({})
    const call = httpRequest(`${base}/v1/audio/transcriptions`, { method: 'POST' }).on('error', () => {})
    call.write('first')
    expect((await answer(call)).statusCode).toBe(503)
    call.destroy()
  })

  test('and one that says nothing within the limit is the same', async () => {
    const base = await startGateway({ embeddings: await startService(() => {}) }, { waitMs: 20 })
    const reply = await fetch(`${base}/v1/embeddings`, { method: 'POST', body: '{}' })
    expect(reply.status).toBe(503)
    expect(await reply.json()).toMatchObject({
      error: { code: 'dependency_unavailable', message: expect.stringContaining('within 20 ms') },
      stage: 'embeddings',
    })
  })
})

describe('the list of models', () => {
  const listing = (...ids: string[]): Promise<string> =>
    startService((request, response) => {
      response.setHeader('content-type', 'application/json')
      const id = decodeURIComponent(request.url?.slice('/v1/models/'.length) ?? '')
      if (request.url === '/v1/models')
        response.end(JSON.stringify({ object: 'list', data: ids.map((i) => ({ id: i })) }))
      else if (ids.includes(id)) response.end(JSON.stringify({ id, task: 'some' }))
      else response.writeHead(404).end(JSON.stringify({ error: { message: 'no', type: 'x', param: null, code: 'y' } }))
    })

  test('has those of all services and the language model', async () => {
    const base = await startGateway({
      stt: await listing('demo/whisper', 'whisper-1'),
      tts: await listing('kokoro'),
      embeddings: await listing('minilm'),
    })
    const reply = await fetch(`${base}/v1/models`)
    const { data } = (await reply.json()) as { data: { id: string }[] }
    expect(data.map(({ id }) => id)).toEqual(['fake/mind', 'demo/whisper', 'whisper-1', 'kokoro', 'minilm'])
    expect(reply.headers.get('x-degraded')).toBeNull()
  })

  test('goes without a service that is away, and names it', async () => {
    const base = await startGateway({ stt: await listing('demo/whisper') })
    const reply = await fetch(`${base}/v1/models`)
    expect(await reply.json()).toMatchObject({ data: [{ id: 'fake/mind' }, { id: 'demo/whisper' }] })
    expect(reply.headers.get('x-degraded')).toBe('tts, embeddings')
  })

  test('a single model is found wherever it is', async () => {
    const base = await startGateway({
      stt: await listing('demo/whisper'),
      tts: await listing(),
      embeddings: await listing(),
    })
    expect(await (await fetch(`${base}/v1/models/demo/whisper`)).json()).toEqual({ id: 'demo/whisper', task: 'some' })
    expect(await (await fetch(`${base}/v1/models/fake/mind`)).json()).toMatchObject({ task: 'text-generation' })
    const unknown = await fetch(`${base}/v1/models/other`)
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { error: { code: 'model_not_found' } }])
  })

  test('a model that a silent service may have is unavailable rather than unknown', async () => {
    const base = await startGateway({ stt: await listing(), tts: await startService(() => {}) }, { listMs: 20 })
    expect((await fetch(`${base}/v1/models/kokoro`)).status).toBe(503)
  })
})
