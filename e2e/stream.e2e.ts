/** Turns as they happen, over the whole stack: real ears and voice, and a language model that writes on when the test says so. */
import { measure, recording, transcriptOf } from './spoken.ts'
import { startStack, untilTrue } from './stack.ts'
import type { Stack } from './stack.ts'
import { wordErrorRate } from '@hearth/shared/word-error-rate'
import { wavHeader } from '@hearth/shared/wav'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sendJson, startStub } from '../services/orchestrator/src/testing/http-stub.ts'
import type { HttpStub } from '../services/orchestrator/src/testing/http-stub.ts'

const FIRST = 'Open the window, please. '
const REST = 'Then close the door.'

let ollama: HttpStub
let stack: Stack
/** Opens for the rest of the reply. */
let gate: PromiseWithResolvers<void>

beforeAll(async () => {
  gate = Promise.withResolvers()
  // The rehearsal's turns need no gate.
  gate.resolve()
  ollama = await startStub((response, { path, body }) => {
    if (path === '/api/tags') return sendJson(response, { models: [{ name: 'm:1' }] })
    // What loads the model and reads its system text.
    if (!body.includes('"stream":true')) return sendJson(response, { done: true })
    response.write(line(FIRST))
    void gate.promise.then(() => response.end(line(REST) + line('', true)))
  })
  const env = { OLLAMA_URL: ollama.url, OLLAMA_MODEL: 'm:1', ORCHESTRATOR_MAX_TURNS: '1' }
  stack = await startStack({ env })
})
afterAll(async () => {
  gate.resolve()
  await stack?.stop()
  await ollama.close()
})

const line = (content: string, done = false) => `${JSON.stringify({ message: { role: 'assistant', content }, done })}\n`

function closeGate(): void {
  gate = Promise.withResolvers()
}

async function ask(accept: string, fields: Record<string, string | File>, signal?: AbortSignal): Promise<Response> {
  const body = new FormData()
  for (const [name, value] of Object.entries(fields)) body.set(name, value)
  const init = { method: 'POST', body, headers: { accept }, ...(signal && { signal }) }
  const response = await fetch(`${stack.url.orchestrator}/generate`, init)
  expect(response.status).toBe(200)
  return response
}

type Event = { readonly name: string; readonly data: Record<string, unknown> }

async function* eventsOf(response: Response): AsyncGenerator<Event, void, void> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const bytes of response.body ?? []) {
    const frames = (text + decoder.decode(bytes, { stream: true })).split('\n\n')
    text = frames.pop() ?? ''
    for (const frame of frames) {
      const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(frame) ?? []
      if (name !== undefined && data !== undefined) yield { name, data: JSON.parse(data) }
    }
  }
}

async function turnOf(response: Response): Promise<Record<string, unknown>> {
  const id = response.headers.get('x-turn')
  const record: unknown = await (await fetch(`${stack.url.orchestrator}/turns/${id}`)).json()
  expect(record).toMatchObject({ id, session: response.headers.get('x-session') })
  return { ...(typeof record === 'object' ? record : {}) }
}

/** Seconds and loudness of bare samples. */
const measurePcm = (pcm: Uint8Array) =>
  measure(Buffer.concat([wavHeader({ sampleRateHz: 24_000, sampleCount: pcm.length / 2 }), pcm]))

function expectSpeech({ seconds, level }: { seconds: number; level: number }): void {
  expect(seconds).toBeGreaterThan(0.3)
  expect(level).toBeGreaterThan(0.005)
}

describe('a stream of events', () => {
  test('tells of a spoken turn in its order; the first clause is heard while the rest is not written yet', async () => {
    closeGate()
    const response = await ask('text/event-stream', { file: recording('016.wav') })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const seen: Event[] = []
    for await (const event of eventsOf(response)) {
      seen.push(event)
      if (event.name === 'audio') gate.resolve()
    }
    const names = seen.map(({ name }) => name)
    expect(names.slice(0, 3)).toEqual(['transcript', 'memory', 'reply.delta'])
    expect(names.at(-1)).toBe('done')
    const rest = seen.findIndex(({ data }) => data['text'] === REST)
    expect(names.indexOf('audio')).toBeLessThan(rest)
    const sounds = seen.filter(({ name }) => name === 'audio').map(({ data }) => data)
    expect(sounds.map(({ text }) => text).join(' ')).toBe(FIRST + REST)
    for (const { format, sampleRateHz, base64 } of sounds) {
      expect([format, sampleRateHz]).toEqual(['pcm', 24_000])
      expectSpeech(measurePcm(Buffer.from(String(base64), 'base64')))
    }
  })

  test('and the turn’s record agree in every word and figure', async () => {
    const response = await ask('text/event-stream', { file: recording('011.wav'), session: 'stream-1' })
    const seen: Event[] = []
    for await (const event of eventsOf(response)) seen.push(event)
    const [heard, recalled] = seen
    const done = seen.at(-1)
    const ids = { turn: response.headers.get('x-turn'), session: 'stream-1' }
    expect([heard?.data, done?.data]).toMatchObject([ids, { ...ids, reply: FIRST + REST, degraded: [] }])
    expect(wordErrorRate([[transcriptOf('011.wav'), String(heard?.data['text'])]])).toBeLessThanOrEqual(0.25)
    const { turn: _turn, session: _session, ...told } = { ...done?.data }
    expect(await turnOf(response)).toMatchObject({
      ...told,
      status: 'completed',
      transcript: heard?.data['text'],
      memories: recalled?.data['memories'],
      error: null,
    })
  })
})

describe('sound while it is made', () => {
  test.each([
    ['audio/wav;stream=true', 'audio/wav', 44],
    ['audio/pcm', 'audio/pcm', 0],
  ])('%s begins with the first clause and is whole at the end', async (accept, type, headerBytes) => {
    closeGate()
    const response = await ask(accept, { text: 'What shall I do?' })
    expect(response.headers.get('content-type')).toBe(type)
    expect(response.headers.get('content-length')).toBeNull()
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const bytes of response.body ?? []) {
      chunks.push(bytes)
      size += bytes.length
      // The first clause's sound is here, and the rest is not written yet.
      if (size > headerBytes) gate.resolve()
    }
    const all = Buffer.concat(chunks)
    expect(all.indexOf('RIFF')).toBe(headerBytes > 0 ? 0 : -1)
    expectSpeech(measurePcm(all.subarray(headerBytes)))
    expect(await turnOf(response)).toMatchObject({ status: 'completed', reply: FIRST + REST, degraded: [] })
  })
})

test('who leaves in mid-stream ends the work: the turn is cancelled, its place free, the language model let go', async () => {
  closeGate()
  const client = new AbortController()
  const response = await ask('text/event-stream', { text: 'I like green tea.', session: 'left' }, client.signal)
  const events = eventsOf(response)
  while ((await events.next()).value?.name !== 'audio');
  const refused = await fetch(`${stack.url.orchestrator}/generate`, {
    method: 'POST',
    body: '{"text":"Hi."}',
    headers: { 'content-type': 'application/json' },
  })
  expect(refused.status).toBe(429)
  client.abort()
  await untilTrue(async () => ollama.open() === 0)
  expect(await turnOf(response)).toMatchObject({ status: 'cancelled', error: 'cancelled', reply: FIRST })
  gate.resolve()
  const next = await ask('application/json', { text: 'Hi.', session: 'left' })
  expect(await next.json()).toMatchObject({ reply: FIRST + REST, degraded: [] })
  const session = await fetch(`${stack.url.orchestrator}/sessions/left`)
  expect(await session.json()).toMatchObject({ history: [{ user: 'Hi.', reply: FIRST + REST }] })
})
