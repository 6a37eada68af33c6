import { encodeWav } from '@hearth/shared/wav'
import { ErrorBody, Transcription } from '@hearth/shared/api'
import type { ModelStatus } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { describe, expect, test } from 'vitest'
import { createSttApp } from './app.ts'
import type { SttAppOptions } from './app.ts'
import type { SpeechInput, Transcript } from './speech.ts'
import type { Submit } from './transcribe.ts'

const STATUS: ModelStatus = {
  id: 'demo/whisper',
  source: 'demo',
  state: 'ready',
  progress: null,
  loadMs: 1,
  firstInferenceMs: 2,
  secondInferenceMs: 1,
  warning: null,
  error: null,
}

const heard = (change: Partial<Transcript> = {}): Awaited<ReturnType<Submit>> => ({
  output: {
    text: 'Good morning.',
    language: 'en',
    languageProbability: null,
    noSpeechProbability: 0,
    tokens: 3,
    ...change,
  },
  queueMs: 1.25,
  inferenceMs: 10,
  batchSize: 2,
  model: 'demo/whisper',
})

function setUp(submit: Submit = async () => heard(), overrides: Partial<SttAppOptions> = {}) {
  const inputs: SpeechInput[] = []
  const app = createSttApp({
    model: {
      status: STATUS,
      ready: async () => {},
      submit: (input, signal) => {
        inputs.push(input)
        return submit(input, signal)
      },
    },
    modelIds: ['onnx-community/whisper-base', 'demo/whisper'],
    languages: () => ['en', 'de'],
    maxSeconds: 100,
    maxUploadBytes: 8_000_000,
    log: createLogger({ service: 'stt', level: 'silent' }),
    metrics: createMetrics('stt'),
    ...overrides,
  })
  return { app, inputs }
}

const tone = (seconds: number, sampleRateHz = 16_000): Float32Array =>
  Float32Array.from({ length: seconds * sampleRateHz }, (_, n) => 0.3 * Math.sin(n / 5))
const wav = (seconds = 1, sampleRateHz = 16_000) => encodeWav({ samples: tone(seconds, sampleRateHz), sampleRateHz })

type Fields = Readonly<Record<string, string>>

function form(
  file: Uint8Array<ArrayBuffer> | string | null = wav(),
  fields: Fields = { model: 'whisper-1' },
): FormData {
  const body = new FormData()
  if (typeof file === 'string') body.set('file', file)
  else if (file) body.set('file', new Blob([file], { type: 'application/octet-stream' }), 'a.wav')
  for (const [name, value] of Object.entries(fields)) body.append(name, value)
  return body
}

type App = ReturnType<typeof setUp>['app']
const post = async (app: App, body: FormData | string, headers: Fields = {}): Promise<Response> =>
  app.request('/v1/audio/transcriptions', { method: 'POST', body, headers })

async function expectError(response: Response, status: number, code: string): Promise<ErrorBody['error']> {
  const { error } = ErrorBody.parse(await response.json())
  expect([response.status, error.code]).toEqual([status, code])
  return error
}

describe('a good request', () => {
  test("is answered with OpenAI's body, the language's name, the model and begun seconds", async () => {
    const { app } = setUp(async () => heard({ text: 'Guten Morgen.', language: 'de' }))
    const response = await post(app, form(wav(2.5)))
    expect(response.status).toBe(200)
    expect(Transcription.parse(await response.json())).toEqual({
      text: 'Guten Morgen.',
      language: 'german',
      model: 'demo/whisper',
      usage: { type: 'duration', seconds: 3 },
    })
  })

  test('has its times in the headers', async () => {
    const { headers } = await post(setUp().app, form())
    expect([headers.get('x-queue-time'), headers.get('x-inference-time'), headers.get('x-batch-size')]).toEqual([
      '1.3',
      '10.0',
      '2',
    ])
    expect(headers.get('x-model')).toBe('demo/whisper')
    expect(headers.get('server-timing')).toMatch(/^queue;dur=1\.3, inference;dur=10\.0, total;dur=/)
  })

  test('may ask for plain text', async () => {
    const response = await post(setUp().app, form(wav(), { model: 'whisper-1', response_format: 'text' }))
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/)
    expect(await response.text()).toBe('Good morning.')
  })

  test('reaches the engine as 16 kHz samples that own their memory', async () => {
    const { app, inputs } = setUp()
    await post(app, form(wav(1, 48_000)))
    expect(inputs).toHaveLength(1)
    const [input] = inputs
    expect(input?.samples).toHaveLength(16_000)
    expect(input?.samples.buffer.byteLength).toBe(input?.samples.byteLength)
    expect(input?.language).toBeNull()
  })

  for (const name of ['de', 'DE', 'de-CH', 'German', 'german'])
    test(`may name its language ${name}`, async () => {
      const { app, inputs } = setUp()
      expect((await post(app, form(wav(), { language: name }))).status).toBe(200)
      expect(inputs[0]?.language).toBe('de')
    })

  for (const model of [undefined, 'whisper-1', 'demo/whisper', 'onnx-community/whisper-base'])
    test(`may name its model ${model}`, async () => {
      expect((await post(setUp().app, form(wav(), model ? { model } : {}))).status).toBe(200)
    })

  test('may have fields without effect, and is told which', async () => {
    const response = await post(
      setUp().app,
      form(wav(), { prompt: 'Names: Vulani.', temperature: '0.2', stream: 'false', language: '' }),
    )
    expect([response.status, response.headers.get('x-ignored')]).toEqual([200, 'prompt, temperature'])
  })

  test("waits for the model when it names a language and the model's are not known yet", async () => {
    let known: readonly string[] | null = null
    const model = { status: STATUS, submit: async () => heard(), ready: async () => void (known = ['en', 'de']) }
    const { app } = setUp(undefined, { model, languages: () => known })
    expect((await post(app, form(wav(), { language: 'de' }))).status).toBe(200)
  })
})

describe('a recording longer than a window', () => {
  const numbered = (): Submit => {
    let count = 0
    return async ({ language }) => heard({ text: `part ${++count}`, language: language ?? 'de' })
  }

  test('is heard to its end, piece after piece, in the language of the first', async () => {
    const { app, inputs } = setUp(numbered())
    const reply = Transcription.parse(await (await post(app, form(wav(75)))).json())
    expect(reply).toMatchObject({ text: 'part 1 part 2 part 3', language: 'german', usage: { seconds: 75 } })
    expect(inputs.map(({ language }) => language)).toEqual([null, 'de', 'de'])
    expect(inputs.reduce((sum, { samples }) => sum + samples.length, 0)).toBe(75 * 16_000)
  })

  test('fails as a whole, and the pieces that still wait are given up', async () => {
    const signals: AbortSignal[] = []
    const { app } = setUp(async (_, signal) => {
      signals.push(signal)
      if (signals.length === 2) throw new AppError('overloaded', 'the queue is full', { retryAfterMs: 500 })
      return heard()
    })
    const response = await post(app, form(wav(90)))
    await expectError(response, 429, 'overloaded')
    expect(response.headers.get('retry-after-ms')).toBe('500')
    expect(signals.slice(1).every(({ aborted }) => aborted)).toBe(true)
  })
})

describe('a bad request is refused before the queue, with the one error body:', () => {
  const samples16 = (count: number): Uint8Array<ArrayBuffer> =>
    encodeWav({ samples: new Float32Array(count), sampleRateHz: 16_000 })
  const nan = (): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(44 + 4 * 16_000)
    const view = new DataView(bytes.buffer)
    bytes.set(samples16(0).subarray(0, 44))
    view.setUint16(20, 3, true)
    view.setUint32(28, 64_000, true)
    view.setUint16(32, 4, true)
    view.setUint16(34, 32, true)
    view.setUint32(40, 64_000, true)
    view.setFloat32(44 + 400, NaN, true)
    return bytes
  }
  const text = (value: string) => new TextEncoder().encode(value)

  const cases: readonly (readonly [
    what: string,
    body: () => FormData,
    status: number,
    code: string,
    param?: string,
  ])[] = [
    ['no file', () => form(null), 400, 'missing_file', 'file'],
    ['a file field that is text', () => form('hello'), 400, 'missing_file', 'file'],
    ['an empty file', () => form(new Uint8Array()), 400, 'empty_audio'],
    [
      'a file that is not audio',
      () => form(text('not audio at all, but long enough to hold a header of 44 bytes')),
      400,
      'undecodable_audio',
    ],
    ['a WAV without samples', () => form(samples16(0)), 400, 'audio_too_short'],
    ['a WAV of a twentieth of a second', () => form(samples16(800)), 400, 'audio_too_short'],
    ['a recording that is too long', () => form(samples16(101 * 16_000)), 413, 'audio_too_long'],
    ['samples that are no numbers', () => form(nan()), 400, 'invalid_samples'],
    ['an unknown model', () => form(wav(), { model: 'whisper-huge' }), 404, 'model_not_found', 'model'],
    ['an unknown language', () => form(wav(), { language: 'klingon' }), 400, 'invalid_request', 'language'],
    ['an unknown field', () => form(wav(), { colour: 'red' }), 400, 'unknown_field', 'colour'],
    ['a field called __proto__', () => form(wav(), Object.fromEntries([['__proto__', 'x']])), 400, 'unknown_field'],
    ['an unknown format', () => form(wav(), { response_format: 'xml' }), 400, 'invalid_request', 'response_format'],
    [
      'a format that is not there yet',
      () => form(wav(), { response_format: 'srt' }),
      400,
      'invalid_request',
      'response_format',
    ],
    ['a temperature that is none', () => form(wav(), { temperature: 'warm' }), 400, 'invalid_request', 'temperature'],
    ['a temperature out of range', () => form(wav(), { temperature: '2' }), 400, 'invalid_request', 'temperature'],
    ['an endless prompt', () => form(wav(), { prompt: 'x'.repeat(5000) }), 400, 'invalid_request', 'prompt'],
    ['streaming', () => form(wav(), { stream: 'true' }), 400, 'invalid_request', 'stream'],
    [
      'word times',
      () => form(wav(), { 'timestamp_granularities[]': 'word' }),
      400,
      'invalid_request',
      'timestamp_granularities',
    ],
  ]
  for (const [what, body, status, code, param] of cases)
    test(`${what} is refused`, async () => {
      const { app, inputs } = setUp()
      const error = await expectError(await post(app, body()), status, code)
      expect(error).toMatchObject(param === undefined ? {} : { param })
      expect(inputs).toHaveLength(0)
      expect((await post(app, form())).status).toBe(200)
    })

  test('a body that is too large', async () => {
    const headers = { 'content-length': '8000001', 'content-type': 'multipart/form-data; boundary=x' }
    await expectError(await post(setUp().app, '', headers), 413, 'body_too_large')
  })

  test('the same field twice', async () => {
    const body = form()
    body.append('model', 'demo/whisper')
    await expectError(await post(setUp().app, body), 400, 'duplicate_field')
  })

  test.each([
    ['text, twice', 'duplicate_field', ['x', 'y']],
    ['a file', 'invalid_request', [new Blob(['x'])]],
  ] as const)('a field with an endless name (%s), which is not echoed', async (_what, code, values) => {
    const body = form()
    for (const value of values) body.append('n'.repeat(10_000), value)
    const { message, param } = await expectError(await post(setUp().app, body), 400, code)
    expect(`${message}${param}`.length).toBeLessThan(300)
  })

  test('a form that breaks off, or is none', async () => {
    const { app } = setUp()
    const broken = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF'
    await expectError(
      await post(app, broken, { 'content-type': 'multipart/form-data; boundary=x' }),
      400,
      'invalid_multipart',
    )
    await expectError(await post(app, '{}', { 'content-type': 'application/json' }), 415, 'unsupported_content_type')
  })

  test('a message names what is there instead', async () => {
    const { app } = setUp()
    const format = await expectError(await post(app, form(wav(), { response_format: 'vtt' })), 400, 'invalid_request')
    expect(format.message).toContain('expected json or text')
    const language = await expectError(await post(app, form(wav(), { language: 'fr' })), 400, 'invalid_request')
    expect(language.message).toContain('en (english), de (german)')
  })

  test('the wrong method, an unknown path', async () => {
    const { app } = setUp()
    await expectError(await app.request('/v1/audio/transcriptions'), 405, 'method_not_allowed')
    await expectError(await app.request('/v1/audio/nothing', { method: 'POST' }), 404, 'not_found')
  })
})

test('the models are listed under the name that answers and the one that clients send', async () => {
  const { app } = setUp()
  const list: unknown = await (await app.request('/v1/models')).json()
  expect(list).toMatchObject({ object: 'list' })
  expect(list).toHaveProperty(
    'data[0]',
    expect.objectContaining({ id: 'demo/whisper', object: 'model', state: 'ready' }),
  )
  expect(list).toHaveProperty('data[1].id', 'whisper-1')
  expect((await app.request('/v1/models/onnx-community/whisper-base')).status).toBe(200)
  const error = await expectError(await app.request('/v1/models/nobody/nothing'), 404, 'model_not_found')
  expect(error.message).toBe('The model `nobody/nothing` does not exist')
})
