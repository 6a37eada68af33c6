import { AppError } from '@hearth/shared/errors'
import { createApp } from '@hearth/shared/http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { describe, expect, test } from 'vitest'
import { Admission } from './admission.ts'
import { addGenerate } from './generate.ts'
import { Sessions } from './sessions.ts'
import { fakeStages } from './testing/fake-stages.ts'
import type { Stages } from './turn-events.ts'
import { Turns } from './turns.ts'

type Event = { name: string; data: Record<string, unknown> }

function setUp(overrides: Partial<Stages> = {}) {
  const log = createLogger({ service: 'test', level: 'silent' })
  const metrics = createMetrics('test')
  const app = createApp({ service: 'test', models: () => [], log, metrics, maxBodyBytes: 10_000 })
  const fakes = fakeStages(overrides)
  const admission = new Admission(2)
  const sessions = new Sessions({ maxSessions: 10, maxTurns: 10, idleMs: 60_000, maxWaiting: 0 })
  addGenerate(app, {
    stages: fakes.stages,
    sessions,
    turns: new Turns(),
    admission,
    instructions: '',
    maxTextChars: 100,
    turnLimitMs: 60_000,
    log,
    metrics,
  })
  const ask = async (body: object, signal?: AbortSignal) =>
    app.request('/generate', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify(body),
      ...(signal && { signal }),
    })
  return { ...fakes, admission, ask }
}

/** The events as they come. */
async function* read(response: Response): AsyncGenerator<Event> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true })
    const frames = text.split('\n\n')
    text = frames.pop() ?? ''
    for (const frame of frames) {
      const [, name = '', data = ''] = /^event: (.+)\ndata: (.+)$/.exec(frame) ?? []
      yield { name, data: JSON.parse(data) as Record<string, unknown> }
    }
  }
}

async function readAll(response: Response): Promise<Event[]> {
  const events = []
  for await (const event of read(response)) events.push(event)
  return events
}

describe('a turn as a stream of events', () => {
  test('tells what was heard, recalled, said and spoken, and ends with done', async () => {
    const { ask, admission } = setUp()
    const response = await ask({ text: 'Hi.', session: 's1' })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const events = await readAll(response)
    const names = events.map(({ name }) => name)
    expect(names.slice(0, 2)).toEqual(['transcript', 'memory'])
    expect(names.at(-1)).toBe('done')
    const deltas = events.filter(({ name }) => name === 'reply.delta').map(({ data }) => data['text'])
    expect(deltas.join('')).toBe('Hello there, Anna. How are you?')
    const sound = events.filter(({ name }) => name === 'audio')
    expect(sound.map(({ data }) => data['text'])).toEqual(['Hello there, Anna.', 'How are you?'])
    expect(sound[0]?.data).toMatchObject({ format: 'pcm', sampleRateHz: 24_000 })
    expect(Buffer.from(String(sound[0]?.data['base64']), 'base64')).toEqual(Buffer.alloc(36, 1))
    expect(events[0]?.data).toMatchObject({ turn: response.headers.get('x-turn'), session: 's1', text: 'Hi.' })
    expect(events.at(-1)?.data).toMatchObject({
      turn: response.headers.get('x-turn'),
      session: 's1',
      reply: 'Hello there, Anna. How are you?',
      degraded: [],
      models: { llm: 'fake/mind', tts: 'fake/voice' },
    })
    expect(admission.running).toBe(0)
  })

  test('lets the first clause be heard while the last one is still being written', async () => {
    const written = Promise.withResolvers<void>()
    const llm: Stages['llm'] = {
      name: 'slow/mind',
      async *reply() {
        yield { text: 'One two three four. ', model: 'slow/mind' }
        await written.promise
        yield { text: 'The end.', model: 'slow/mind' }
      },
    }
    const seen = []
    for await (const { name, data } of read(await setUp({ llm }).ask({ text: 'Hi.' }))) {
      seen.push(name === 'audio' ? data['text'] : name)
      if (name === 'audio') written.resolve()
    }
    expect(seen.indexOf('One two three four.')).toBeGreaterThan(0)
    expect(seen.slice(-2)).toEqual(['The end.', 'done'])
  })

  test('a failure before the first event is a plain error with its status', async () => {
    const stt: Stages['stt'] = { transcribe: async () => Promise.reject(new AppError('undecodable_audio', 'no sound')) }
    const { ask, admission } = setUp({ stt })
    const response = await ask({ text: '' })
    expect(response.status).toBe(400)
    expect(admission.running).toBe(0)
  })

  test('a failure on the way is an error event with the one error body, and the end', async () => {
    const llm: Stages['llm'] = {
      name: 'broken/mind',
      // oxlint-disable-next-line require-yield
      async *reply() {
        throw new AppError('dependency_unavailable', 'no mind', { details: { stage: 'llm' } })
      },
    }
    const { ask, admission } = setUp({ llm })
    const events = await readAll(await ask({ text: 'Hi.' }))
    expect(events.map(({ name }) => name)).toEqual(['transcript', 'memory', 'error'])
    expect(events.at(-1)?.data).toMatchObject({
      error: { code: 'dependency_unavailable', type: 'server_error' },
      stage: 'llm',
    })
    expect(admission.running).toBe(0)
  })

  test('a reader that leaves stops the work, and gives its place and its session back', async () => {
    const stopped = Promise.withResolvers<void>()
    const llm: Stages['llm'] = {
      name: 'endless/mind',
      async *reply(_prompt, signal) {
        signal.addEventListener('abort', () => stopped.resolve())
        yield { text: 'One two three four, ', model: 'endless/mind' }
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
    }
    const { ask, admission } = setUp({ llm })
    const response = await ask({ text: 'Hi.', session: 's1' })
    const reader = response.body?.getReader()
    for (const _ of ['transcript', 'memory', 'reply.delta']) await reader?.read()
    // Nobody may wait for this session, so a second turn is refused while the first one has it.
    expect((await ask({ text: 'Hi.', session: 's1' })).status).toBe(429)
    await reader?.cancel()
    await stopped.promise
    expect(admission.running).toBe(0)
    expect((await ask({ text: 'Hi.', session: 's1' })).status).toBe(200)
  })

  test('a client that leaves before it has read anything gives its place back too', async () => {
    const controller = new AbortController()
    const { ask, admission } = setUp()
    await ask({ text: 'Hi.', session: 's1' }, controller.signal)
    expect(admission.running).toBe(1)
    controller.abort()
    expect(admission.running).toBe(0)
  })
})
