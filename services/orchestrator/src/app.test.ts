import { ErrorBody, GenerateReply } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { readyModel } from '@hearth/shared/testing/model-status'
import { decodeWav, encodeWav } from '@hearth/shared/wav'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createOrchestratorApp } from './app.ts'
import type { OrchestratorOptions } from './app.ts'
import { Sessions } from './sessions.ts'
import { fakeStages } from './testing/fake-stages.ts'
import type { FakeStages } from './testing/fake-stages.ts'
import { sendJson, startStub } from './testing/http-stub.ts'
import type { Stages } from './turn-events.ts'

const WAV = encodeWav({ samples: new Float32Array(16_000).fill(0.1), sampleRateHz: 16_000 })
const READY = { id: 'fake/mind', source: null, state: 'ready', progress: null, warning: null, error: null } as const

type App = FakeStages & { request: (path: string, init?: RequestInit) => Promise<Response> }

function setUp(stages: Partial<Stages> = {}, options: Partial<OrchestratorOptions> = {}): App {
  const fakes = fakeStages(stages)
  const app = createOrchestratorApp({
    version: '1.2.3',
    stages: fakes.stages,
    sessions: new Sessions({ maxSessions: 100, maxTurns: 20, idleMs: 60_000, maxWaiting: 4 }),
    models: () => [{ ...READY, loadMs: 1, firstInferenceMs: 1, secondInferenceMs: 1 }],
    services: { stt: 'http://127.0.0.1:1', tts: 'http://127.0.0.1:1', embeddings: 'http://127.0.0.1:1' },
    isDraining: () => false,
    instructions: 'Be kind.',
    maxUploadBytes: 200_000,
    maxTextChars: 8000,
    maxTurns: 4,
    turnLimitMs: 60_000,
    log: createLogger({ service: 'orchestrator', level: 'silent' }),
    metrics: createMetrics('orchestrator'),
    ...options,
  })
  return { ...fakes, request: async (path, init) => app.request(path, init) }
}

const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
})

const raw = (
  bytes: Uint8Array<ArrayBuffer>,
  type = 'audio/wav',
  headers: Record<string, string> = {},
): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': type, ...headers },
  body: bytes,
})

function form(...parts: [string, string | Uint8Array<ArrayBuffer>][]): RequestInit {
  const body = new FormData()
  for (const [name, value] of parts)
    if (typeof value === 'string') body.append(name, value)
    else body.append(name, new Blob([value]), 'hello.wav')
  return { method: 'POST', body }
}

describe('a turn by HTTP', () => {
  test('with a form, as curl -F sends it', async () => {
    const app = setUp()
    const response = await app.request('/generate', form(['file', WAV], ['session', 'abc'], ['voice', 'af_demo']))
    expect(response.status).toBe(200)
    const reply = GenerateReply.parse(await response.json())
    expect(reply).toMatchObject({
      session: 'abc',
      transcript: 'Good morning.',
      reply: 'Hello there, Anna. How are you?',
      degraded: [],
      models: { stt: 'fake/ear', embeddings: 'fake/vectors', llm: 'fake/mind', tts: 'fake/voice' },
    })
    const sound = decodeWav(Buffer.from(reply.audio?.base64 ?? '', 'base64'), { minSeconds: 0 })
    expect(sound.samples).toHaveLength('Hello there, Anna.How are you?'.length)
    expect(response.headers.get('server-timing')).toMatch(
      /^request;dur=.*stt;dur=.*memory;dur=.*llm;dur=.*tts;dur=.*total;dur=/,
    )
  })

  test.each(['audio/wav', 'audio/x-wav; codecs=1', 'application/octet-stream'])(
    'with the bytes as %s',
    async (type) => {
      const app = setUp()
      const response = await app.request('/generate?session=abc', raw(WAV, type))
      expect(await response.json()).toMatchObject({ session: 'abc', transcript: 'Good morning.' })
    },
  )

  test('with a text, in JSON or in a form', async () => {
    for (const init of [json({ text: ' Hi. ', session: 'abc' }), form(['text', 'Hi.'], ['session', 'abc'])]) {
      const app = setUp()
      expect(await (await app.request('/generate', init)).json()).toMatchObject({ session: 'abc', transcript: 'Hi.' })
      expect(app.prompts[0]?.user).toBe('Hi.')
    }
  })

  test('Accept: audio/wav gives the sound, and the rest in headers', async () => {
    const response = await setUp().request('/generate', json({ text: 'Grüß dich' }, { accept: 'audio/wav' }))
    expect(response.headers.get('content-type')).toBe('audio/wav')
    expect(response.headers.get('x-transcript')).toBe("UTF-8''Gr%C3%BC%C3%9F%20dich")
    expect(decodeWav(new Uint8Array(await response.arrayBuffer()), { minSeconds: 0 }).samples).toHaveLength(30)
  })

  test.each(['*/*', 'application/json', 'application/json, audio/wav;q=0.5', 'text/html', 'video/mp4'])(
    'Accept: %s gives JSON',
    async (accept) => {
      const response = await setUp().request('/generate', json({ text: 'Hi.' }, { accept }))
      expect(response.headers.get('content-type')).toBe('application/json')
    },
  )

  test('the turns of a session know of each other, those of two do not', async () => {
    const app = setUp()
    const say = async (text: string, session?: string) =>
      GenerateReply.parse(await (await app.request('/generate', json({ text, session }))).json())
    const { session } = await say('One.')
    await say('Two.', session)
    await say('Three.')
    expect(app.prompts.map(({ history }) => history.map(({ user }) => user))).toEqual([[], ['One.'], []])
  })

  test('silence is an answer without a word', async () => {
    const app = setUp({ stt: { transcribe: async () => ({ text: '', language: 'en', model: 'fake/ear' }) } })
    const response = await app.request('/generate', raw(WAV))
    expect([response.status, await response.json()]).toMatchObject([200, { transcript: '', reply: '', audio: null }])
  })

  test('without memory and voice it is still an answer, and says what is missing', async () => {
    const fail = async (): Promise<never> => {
      throw new AppError('stage_failed', 'no')
    }
    const stages = {
      memory: { recall: fail, remember: fail },
      tts: { speak: fail, voiceFor: async () => undefined, requireVoice: fail },
    }
    const app = setUp(stages)
    const response = await app.request('/generate', json({ text: 'Hi.', voice: 'af_demo' }))
    expect([response.status, await response.json()]).toMatchObject([
      200,
      { reply: 'Hello there, Anna. How are you?', audio: null, degraded: ['memory', 'tts'] },
    ])
    expect((await app.request('/generate', json({ text: 'Hi.' }, { accept: 'audio/wav' }))).status).toBe(502)
  })
})

const noSamples = encodeWav({ samples: new Float32Array(0), sampleRateHz: 16_000 })

/** A WAV of float samples, all NaN. */
function nanWav(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(44 + 16_000 * 4)
  bytes.set(encodeWav({ samples: new Float32Array(0), sampleRateHz: 16_000 }))
  const view = new DataView(bytes.buffer)
  view.setUint32(4, 36 + 16_000 * 4, true)
  view.setUint16(20, 3, true)
  view.setUint32(28, 64_000, true)
  view.setUint16(32, 4, true)
  view.setUint16(34, 32, true)
  view.setUint32(40, 16_000 * 4, true)
  for (let at = 44; at < bytes.length; at += 4) view.setFloat32(at, Number.NaN, true)
  return bytes
}

/** A header that promises ten hours, and nothing behind it. */
function tenHourHeader(): Uint8Array<ArrayBuffer> {
  const bytes = noSamples.slice()
  new DataView(bytes.buffer).setUint32(40, 36_000 * 32_000, true)
  return bytes
}

describe('bad input', () => {
  const cases: [string, string, RequestInit, number, string][] = [
    ['no file', '/generate', form(['session', 'abc']), 400, 'missing_file'],
    ['a file that is a text', '/generate', form(['file', 'hello']), 400, 'missing_file'],
    ['an empty file', '/generate', form(['file', new Uint8Array(0)]), 400, 'empty_audio'],
    ['an empty body', '/generate', raw(new Uint8Array(0)), 400, 'empty_audio'],
    ['not audio', '/generate', raw(new TextEncoder().encode('hello '.repeat(500))), 400, 'undecodable_audio'],
    ['no samples', '/generate', form(['file', noSamples]), 400, 'audio_too_short'],
    ['a ten hour header', '/generate', raw(tenHourHeader()), 400, 'audio_too_short'],
    ['NaN samples', '/generate', raw(nanWav()), 400, 'invalid_samples'],
    ['two files', '/generate', form(['file', WAV], ['file', WAV]), 400, 'duplicate_field'],
    ['two sessions', '/generate?session=a&session=b', raw(WAV), 400, 'duplicate_field'],
    ['both audio and text', '/generate', form(['file', WAV], ['text', 'Hi.']), 400, 'invalid_request'],
    ['neither audio nor text', '/generate', form(['voice', 'x']), 400, 'missing_file'],
    ['a broken form', '/generate', raw(new Uint8Array(9), 'multipart/form-data; boundary=x'), 400, 'invalid_multipart'],
    ['an unknown field', '/generate', form(['file', WAV], ['tempo', '1']), 400, 'unknown_field'],
    ['an unknown query', '/generate?tempo=1', raw(WAV), 400, 'unknown_field'],
    ['a session that is a path', '/generate?session=..%2F..', raw(WAV), 400, 'invalid_request'],
    ['too much audio', '/generate', raw(WAV, 'audio/wav', { 'content-length': '300000' }), 413, 'body_too_large'],
    ['broken JSON', '/generate', json('{"text":'), 400, 'invalid_json'],
    ['no JSON', '/generate', json(''), 400, 'invalid_json'],
    ['an array', '/generate', json([]), 400, 'invalid_request'],
    ['no text', '/generate', json({}), 400, 'invalid_request'],
    ['a text that is a number', '/generate', json({ text: 1 }), 400, 'invalid_request'],
    ['an empty text', '/generate', json({ text: '' }), 400, 'empty_text'],
    ['a text of nothing to see', '/generate', json({ text: ' \n\u200b\u0000' }), 400, 'empty_text'],
    ['8001 characters', '/generate', json({ text: 'é'.repeat(8001) }), 413, 'text_too_long'],
    ['a text of 1 MB', '/generate', json({ text: 'a'.repeat(1_000_000) }), 413, 'text_too_long'],
    ['half a surrogate pair', '/generate', json('{"text":"\\ud800"}'), 400, 'invalid_encoding'],
    ['a system prompt', '/generate', json({ text: 'Hi.', messages: [] }), 400, 'unknown_field'],
    ['an unknown voice', '/generate', json({ text: 'Hi.', voice: 'nobody' }), 404, 'voice_not_found'],
    ['text/plain', '/generate', raw(new Uint8Array(9), 'text/plain'), 415, 'unsupported_content_type'],
    ['no type at all', '/generate', { method: 'POST' }, 415, 'unsupported_content_type'],
    [
      'a compressed body',
      '/generate',
      raw(WAV, 'audio/wav', { 'content-encoding': 'gzip' }),
      415,
      'unsupported_encoding',
    ],
    ['another method', '/generate', { method: 'GET' }, 405, 'method_not_allowed'],
    ['another method', '/', { method: 'DELETE' }, 405, 'method_not_allowed'],
    ['an unknown path', '/generates', json({ text: 'Hi.' }), 404, 'not_found'],
  ]

  test.each(cases)('%s (%s) is refused before any stage works, and the next request is answered', async (...args) => {
    const [, path, init, status, code] = args
    let stageCalls = 0
    const voiceFor = async () => undefined
    const requireVoice = async (voice: string) => {
      if (voice !== 'af_demo') throw new AppError('voice_not_found', 'no voice of that name', { param: 'voice' })
    }
    const transcribe = async () => {
      stageCalls++
      return { text: 'Good morning.', language: 'en', model: 'fake/ear' }
    }
    const speak = async (text: string) => ({ pcm: new Uint8Array(text.length * 2), sampleRateHz: 24_000, model: 'v' })
    const app = setUp({ stt: { transcribe }, tts: { speak, voiceFor, requireVoice } })
    const response = await app.request(path, init)
    const body = ErrorBody.parse(await response.json())
    expect([response.status, body.error.code]).toEqual([status, code])
    expect(body.error.type).toBe('invalid_request_error')
    expect(body.request_id).toBe(response.headers.get('x-request-id'))
    expect([stageCalls, app.prompts.length]).toEqual([0, 0])
    expect((await app.request('/generate', form(['file', WAV]))).status).toBe(200)
  })

  test('8000 characters are taken', async () => {
    expect((await setUp().request('/generate', json({ text: '🙂'.repeat(8000) }))).status).toBe(200)
  })
})

describe('limits', () => {
  test('more turns than may run are refused at once, and taken again when one has ended', async () => {
    const gate = Promise.withResolvers<{ memories: never[]; model: string }>()
    const memory = { recall: () => gate.promise, remember: async () => {} }
    const app = setUp({ memory }, { maxTurns: 1 })
    const first = app.request('/generate', json({ text: 'Hi.' }))
    const second = await app.request('/generate', json({ text: 'Hi.' }))
    expect([second.status, second.headers.get('retry-after-ms')]).toEqual([429, '1000'])
    gate.resolve({ memories: [], model: 'm' })
    expect((await first).status).toBe(200)
    expect((await app.request('/generate', json({ text: 'Hi.' }))).status).toBe(200)
  })

  test('a turn that takes too long ends, and leaves its session', async () => {
    let signal: AbortSignal | undefined
    const hang = (_: unknown, __: unknown, stop: AbortSignal) => {
      signal = stop
      return new Promise<never>((___, reject) => stop.addEventListener('abort', () => reject(stop.reason)))
    }
    const app = setUp({ memory: { recall: hang, remember: async () => {} } }, { turnLimitMs: 30 })
    for (let n = 0; n < 2; n++) {
      const response = await app.request('/generate', json({ text: 'Hi.', session: 'abc' }))
      const { error } = ErrorBody.parse(await response.json())
      expect([response.status, error.code]).toEqual([504, 'deadline_exceeded'])
      expect(signal?.aborted).toBe(true)
    }
  })

  test('a client who leaves ends its turn', async () => {
    const started = Promise.withResolvers<AbortSignal>()
    const stt: Stages['stt'] = {
      transcribe: (_, signal) => {
        started.resolve(signal)
        return new Promise<never>((__, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
    }
    const client = new AbortController()
    const response = setUp({ stt }).request('/generate', { ...raw(WAV), signal: client.signal })
    const signal = await started.promise
    client.abort()
    expect((await response).status).toBe(499)
    expect(signal.aborted).toBe(true)
  })
})

test('GET / says what this is', async () => {
  expect(await (await setUp().request('/')).json()).toMatchObject({ name: 'hearth', version: '1.2.3' })
})

test('/ready?verbose tells of the whole stack; who does not answer is null', async () => {
  const stt = { service: 'stt', ready: true, models: [readyModel('demo/whisper')], boots: [] }
  const stub = await startStub((response, { path }) => sendJson(response, path === '/ready?verbose' ? stt : {}))
  onTestFinished(() => stub.close())
  const services = { stt: stub.url, tts: `${stub.url}/nothing`, embeddings: 'http://127.0.0.1:1' }
  const app = setUp({}, { services })
  const expected = {
    ready: true,
    models: [{ id: 'fake/mind' }],
    boots: [],
    services: { stt, tts: null, embeddings: null },
  }
  const answers = await Promise.all([1, 2, 3].map(() => app.request('/ready?verbose')))
  for (const answer of answers) expect(await answer.json()).toMatchObject(expected)
  expect(stub.asked.map(({ path }) => path).toSorted()).toEqual(['/nothing/ready?verbose', '/ready?verbose'])
  expect(await (await app.request('/ready')).json()).not.toHaveProperty('services')
})

test('/ready tells of the language model', async () => {
  const response = await setUp().request('/ready')
  expect([response.status, await response.json()]).toMatchObject([200, { ready: true, models: [{ id: 'fake/mind' }] }])
})

test('nothing that was said is ever logged', async () => {
  const lines: string[] = []
  const log = createLogger({ service: 'orchestrator', level: 'trace' }, { write: (line) => void lines.push(line) })
  const fail = async (): Promise<never> => {
    throw new AppError('stage_failed', 'no')
  }
  const heard = async () => ({ text: 'I whispered canary1.', language: 'en', model: 'fake/ear' })
  const llm: Stages['llm'] = {
    name: 'fake/mind',
    async *reply() {
      yield { text: 'The reply is canary2. And more.', model: 'fake/mind' }
    },
  }
  const tts = { speak: fail, voiceFor: async () => undefined, requireVoice: fail }
  const app = setUp({ stt: { transcribe: heard }, llm, tts, memory: { recall: fail, remember: fail } }, { log })
  await app.request('/generate?session=canary3', raw(WAV))
  await app.request('/generate', json({ text: 'canary4', voice: 'canary5' }))
  await app.request('/generate', json({ text: 1, canary6: 'canary7' }))
  expect(lines.length).toBeGreaterThan(4)
  expect(lines.join('')).not.toMatch(/canary/)
})
