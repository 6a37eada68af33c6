import { decodeWav } from '@hearth/shared/wav'
import { AppError } from '@hearth/shared/errors'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { Submit } from './speak.ts'
import { expectError, GOOD, post, RATE, setUp, spoken, STATUS, wordy } from './testing/app.ts'

function readerOf({ body }: Response) {
  if (body === null) throw new Error('expected a body')
  return body.getReader()
}

describe('a WAV', () => {
  test('has the sound of every fragment, and the pause between them; its length stays open as it is sent while it is made', async () => {
    const response = await post(setUp().app, { ...GOOD, response_format: 'wav' })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'audio/wav'])
    const bytes = new Uint8Array(await response.arrayBuffer())
    expect(response.headers.get('content-length')).toBeNull()
    const { samples, sampleRateHz } = decodeWav(bytes)
    expect(sampleRateHz).toBe(RATE)
    // "Hello there." 0.2 s and 0.24 s of pause less the margin that sound fills; "How are you?" 0.3 s
    expect(samples.length / RATE).toBeCloseTo(0.2 + 0.18 + 0.3, 3)
  })
})

describe('the format', () => {
  test.each([
    [undefined, 'audio/mpeg'],
    ['mp3', 'audio/mpeg'],
    ['opus', 'audio/ogg'],
    ['aac', 'audio/aac'],
    ['flac', 'audio/flac'],
    ['wav', 'audio/wav'],
    ['pcm', 'audio/pcm'],
  ])('%s is %s, and the reply names the model that really spoke', async (format, type) => {
    const response = await post(setUp().app, { ...GOOD, response_format: format })
    const { headers } = response
    expect([response.status, headers.get('content-type'), headers.get('x-model')]).toEqual([200, type, 'demo/kokoro'])
    expect(headers.get('x-inference-time')).not.toBeNull()
    expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(1000)
  })

  test('as events has the same bytes in pieces, and the usage at the end', async () => {
    const { app } = setUp()
    const response = await post(app, { ...GOOD, response_format: 'pcm', stream_format: 'sse' })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const events = (await response.text()).trimEnd().split('\n\n')
    const read = events.map((line) => SpeechEvent.parse(JSON.parse(line.replace(/^data: /, ''))))
    const sound = Buffer.concat(read.map(({ audio = '' }) => Buffer.from(audio, 'base64')))
    const whole = await (await post(app, { ...GOOD, response_format: 'pcm' })).arrayBuffer()
    expect(sound.equals(Buffer.from(whole))).toBe(true)
    expect(read.map(({ type }) => type)).toEqual(['speech.audio.delta', 'speech.audio.delta', 'speech.audio.done'])
    const seconds = whole.byteLength / 2 / RATE
    const output = Math.ceil(seconds * 40)
    expect(read.at(-1)?.usage).toEqual({ input_tokens: 10, output_tokens: output, total_tokens: 10 + output })
  })
})

describe('timestamps', () => {
  const TIMED = { ...GOOD, response_format: 'pcm', timestamps: true }
  const told = [
    { type: 'speech.audio.words', words: [{ word: 'x', start: 0.01, end: 0.09 }], estimated: true },
    { type: 'speech.audio.delta' },
    // "Hello there." lasts 0.2 s, its pause 0.18 s behind it
    { type: 'speech.audio.words', words: [{ word: 'x', start: 0.39, end: 0.47 }], estimated: true },
    { type: 'speech.audio.delta' },
    { type: 'speech.audio.done' },
  ]

  test('give lines of JSON: the words with their times from the start of the speech, and their sound', async () => {
    const response = await post(setUp().app, TIMED)
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    const lines = (await response.text()).trimEnd().split('\n')
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject(told)
  })

  test('are events among the others in a stream of events, and only when they are asked for', async () => {
    const read = async (body: object): Promise<unknown[]> => {
      const text = await (await post(setUp().app, { ...body, stream_format: 'sse' })).text()
      return text
        .trimEnd()
        .split('\n\n')
        .map((event): unknown => JSON.parse(event.replace('data: ', '')))
    }
    expect(await read(TIMED)).toMatchObject(told)
    expect(JSON.stringify(await read({ ...TIMED, timestamps: false }))).not.toContain('words')
  })

  test('are there for every format, none lost with the encoder', async () => {
    for (const format of ['mp3', 'opus', 'aac', 'flac', 'wav']) {
      const text = await (await post(setUp().app, { ...TIMED, response_format: format })).text()
      expect(text.match(/speech\.audio\.words/g)).toHaveLength(2)
    }
  })
})

const SpeechEvent = z.object({
  type: z.string(),
  audio: z.string().optional(),
  usage: z.record(z.string(), z.number()).optional(),
})

describe('PCM', () => {
  const PCM = { ...GOOD, input: 'One. Two. Three.', response_format: 'pcm' }

  /** A model that speaks each fragment when it is told to. */
  function onDemand() {
    const tellers = new Map<string, () => void>()
    const submit: Submit = ({ text }) =>
      new Promise((resolve) => tellers.set(text, () => resolve(spoken(new Float32Array(2400).fill(0.25)))))
    return { submit, tell: (text: string) => tellers.get(text)?.(), asked: () => [...tellers.keys()] }
  }
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  test('leaves a fragment at a time, with the next one being made meanwhile', async () => {
    const model = onDemand()
    const reply = post(setUp(model.submit).app, PCM)
    await settled()
    expect(model.asked()).toEqual(['One.'])
    model.tell('One.')
    const response = await reply
    expect(response.headers.get('content-type')).toBe('audio/pcm')
    const reader = readerOf(response)
    const first = await reader.read()
    expect(first.value?.length).toBe(2 * 2400)
    expect(model.asked()).toEqual(['One.', 'Two.'])
    model.tell('Two.')
    // the pause comes with what follows it
    expect((await reader.read()).value?.length).toBe(2 * ((RATE * 180) / 1000 + 2400))
    model.tell('Three.')
    expect((await reader.read()).value?.length).toBe(2 * ((RATE * 180) / 1000 + 2400))
    expect((await reader.read()).done).toBe(true)
  })

  test('stops within one fragment when the caller leaves', async () => {
    const model = onDemand()
    const { app, signals } = setUp(model.submit)
    const reply = post(app, PCM)
    await settled()
    model.tell('One.')
    const reader = readerOf(await reply)
    await reader.read()
    await reader.cancel()
    model.tell('Two.')
    await settled()
    expect(model.asked()).toEqual(['One.', 'Two.'])
    expect(signals[1]?.aborted).toBe(true)
  })

  test('is made no faster than it is read', async () => {
    const { app, inputs } = setUp()
    const response = await post(app, PCM)
    await settled()
    expect(inputs.length).toBeLessThanOrEqual(2)
    expect((await response.arrayBuffer()).byteLength).toBe(2 * (3 * 2400 + (2 * RATE * 180) / 1000))
    expect(inputs).toHaveLength(3)
  })

  test('is cut, not ended, when a later fragment fails', async () => {
    const submit: Submit = async (input, signal) => {
      if (input.text === 'Three.') throw new AppError('engine_failed', 'gone')
      return wordy(input, signal)
    }
    const response = await post(setUp(submit).app, PCM)
    expect(response.status).toBe(200)
    await expect(response.arrayBuffer()).rejects.toThrow('gone')
  })
})

test('a request that is aborted aborts the fragment in the making', async () => {
  const caller = new AbortController()
  const submit: Submit = (_, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
  const { app, signals } = setUp(submit)
  const reply = post(app, GOOD, { signal: caller.signal })
  while (signals.length === 0) await new Promise((resolve) => setImmediate(resolve))
  caller.abort()
  await reply.catch(() => {})
  expect(signals[0]?.aborted).toBe(true)
})

describe('what the model gives', () => {
  test.each([
    ['no samples', new Float32Array(0)],
    ['NaN', Float32Array.of(0.1, Number.NaN)],
  ])('%s never leaves', async (_, samples) => {
    const { app } = setUp(async () => spoken(samples))
    await expectError(await post(app, GOOD), 500, 'engine_failed')
    await expectError(await post(app, { ...GOOD, response_format: 'pcm' }), 500, 'engine_failed')
  })

  test('a text without a single phoneme is nothing to speak', async () => {
    const { app } = setUp(async () => spoken(new Float32Array(0), 0))
    await expectError(await post(app, GOOD), 400, 'nothing_to_speak')
  })

  test('a fragment without phonemes inside a text is left out', async () => {
    const submit: Submit = async (input, signal) =>
      input.text === 'Two.' ? spoken(new Float32Array(0), 0) : wordy(input, signal)
    for (const format of ['pcm', 'wav']) {
      const response = await post(setUp(submit).app, { input: 'One. Two. Three.', response_format: format })
      const header = format === 'wav' ? 44 : 0
      expect((await response.arrayBuffer()).byteLength).toBe(header + 2 * (2 * 2400 + (RATE * 180) / 1000))
    }
  })
})

describe('the voice', () => {
  test.each([
    [undefined, 'af_demo'],
    ['am_demo', 'am_demo'],
    [{ id: 'am_demo' }, 'am_demo'],
    ['alloy', 'af_demo'],
    ['onyx', 'am_demo'],
  ])('%j is spoken by %s', async (voice, expected) => {
    const { app, inputs } = setUp()
    expect((await post(app, { ...GOOD, voice })).status).toBe(200)
    expect(inputs.map((input) => input.voice)).toEqual(inputs.map(() => [{ voice: expected, share: 1 }]))
  })

  test('may be a mix, which reaches the model as shares', async () => {
    const { app, inputs } = setUp()
    expect((await post(app, { ...GOOD, voice: 'af_demo(3)+onyx(1)' })).status).toBe(200)
    const mix = [
      { voice: 'af_demo', share: 0.75 },
      { voice: 'am_demo', share: 0.25 },
    ]
    expect(inputs.map((input) => input.voice)).toEqual([mix, mix])
  })

  test.each([
    '__proto__',
    'constructor',
    'toString',
    '',
    '../../x',
    '/etc/passwd',
    'http://a.b',
    'af_demo\0.bin',
    'x'.repeat(10_000),
  ])('%.20j is not found', async (voice) => {
    const { app, inputs } = setUp()
    const message = await expectError(await post(app, { ...GOOD, voice }), 404, 'voice_not_found')
    expect(message).toContain('af_demo, am_demo')
    expect(inputs).toEqual([])
  })
})

test.each([
  'tts-1',
  'tts-1-hd',
  'gpt-4o-mini-tts',
  'kokoro',
  'demo/kokoro',
  'onnx-community/Kokoro-82M-v1.0-ONNX',
  undefined,
])('the model %s is this one', async (model) => {
  expect((await post(setUp().app, { ...GOOD, model })).status).toBe(200)
})

test('a short phrase that comes again is not made again, and sounds the same', async () => {
  const { app, inputs } = setUp(wordy, { phraseCacheBytes: 1_000_000 })
  const bodies = await Promise.all([GOOD, GOOD].map(async () => (await post(app, GOOD)).arrayBuffer()))
  const again = await post(app, GOOD)
  expect([bodies[1], await again.arrayBuffer()]).toEqual([bodies[0], bodies[0]])
  expect(inputs.length).toBeLessThanOrEqual(4)
  expect([again.headers.get('x-inference-time'), again.headers.get('x-model')]).toEqual(['0.0', 'demo/kokoro'])
})

describe('eSpeak NG', () => {
  const failed = {
    status: { ...STATUS, state: 'failed', error: 'no file' },
    ready: async () => {},
    submit: wordy,
  } as const

  test('speaks when a request asks for it, and the reply says so', async () => {
    const response = await post(setUp().app, { ...GOOD, model: 'espeak' })
    expect([response.status, response.headers.get('x-model')]).toEqual([200, 'espeak-ng'])
  })

  test('speaks when Kokoro has failed; the reply and /ready say so', async () => {
    const { app } = setUp(wordy, { model: failed })
    expect((await post(app, GOOD)).headers.get('x-model')).toBe('espeak-ng')
    const ready = await app.request('/ready')
    expect([ready.status, await ready.json()]).toMatchObject([
      200,
      {
        ready: true,
        models: [{ id: 'espeak-ng', warning: "demo/kokoro can't be used: espeak-ng speaks until it is back" }],
      },
    ])
  })
})

describe('bad requests are refused before anything is made', () => {
  test.each<[string, unknown, number, string]>([
    ['no input', { voice: 'alloy' }, 400, 'invalid_request'],
    ['null input', { ...GOOD, input: null }, 400, 'invalid_request'],
    ['a number as input', { ...GOOD, input: 5 }, 400, 'invalid_request'],
    ['an array as input', { ...GOOD, input: ['a'] }, 400, 'invalid_request'],
    ['an empty input', { ...GOOD, input: '' }, 400, 'empty_text'],
    ['an invisible input', { ...GOOD, input: ' \n\u200b\ufeff' }, 400, 'empty_text'],
    ['only marks', { ...GOOD, input: '...!?' }, 400, 'nothing_to_speak'],
    ['only emoji', { ...GOOD, input: '🎉🎉' }, 400, 'nothing_to_speak'],
    ['one character too many', { ...GOOD, input: 'a'.repeat(1001) }, 413, 'text_too_long'],
    ['a text of 1 MB', { ...GOOD, input: 'a'.repeat(1 << 20) }, 413, 'text_too_long'],
    ['half a surrogate pair', '{"input":"a \\ud800 b"}', 400, 'invalid_encoding'],
    ['a mix that nobody can read', { ...GOOD, voice: 'af_demo(2' }, 400, 'invalid_request'],
    ['an array as voice', { ...GOOD, voice: ['alloy'] }, 400, 'invalid_request'],
    ['speed 0', { ...GOOD, speed: 0 }, 400, 'invalid_request'],
    ['speed -1', { ...GOOD, speed: -1 }, 400, 'invalid_request'],
    ['speed 5', { ...GOOD, speed: 5 }, 400, 'invalid_request'],
    ['a word as speed', { ...GOOD, speed: 'fast' }, 400, 'invalid_request'],
    ['speed NaN', '{"input":"hi","speed":NaN}', 400, 'invalid_json'],
    ['format mp7', { ...GOOD, response_format: 'mp7' }, 400, 'invalid_request'],
    ['stream_format ws', { ...GOOD, stream_format: 'ws' }, 400, 'invalid_request'],
    ['another model', { ...GOOD, model: 'gpt-5' }, 404, 'model_not_found'],
    ['a path as model', { ...GOOD, model: '../../etc' }, 404, 'model_not_found'],
    ['a word as timestamps', { ...GOOD, timestamps: 'yes' }, 400, 'invalid_request'],
    ['an unknown field', { ...GOOD, sample_rate: 0 }, 400, 'unknown_field'],
    ['stream', { ...GOOD, stream: 'yes' }, 400, 'unknown_field'],
    ['broken JSON', '{"input":', 400, 'invalid_json'],
    ['nothing', '', 400, 'invalid_json'],
    ['an array', [], 400, 'invalid_request'],
  ])('%s', async (_, body, status, code) => {
    const { app, inputs } = setUp()
    await expectError(await post(app, body), status, code)
    expect(inputs).toEqual([])
    expect((await post(app, GOOD)).status).toBe(200)
  })

  test('a body that says it is too large is not read', async () => {
    const headers = { 'content-type': 'application/json', 'content-length': String(1 << 20) }
    await expectError(await post(setUp().app, GOOD, { headers }), 413, 'body_too_large')
  })
})

describe('texts that are odd but fine', () => {
  test.each([
    ['emoji counted as people count', 'a' + '🎉'.repeat(999)],
    ['JSON', '{"a": [1, 2]}'],
    ['SSML', '<speak>Hi<break time="999999s"/></speak> there'],
    ['a template', "${7*7} {{7*7}} '; DROP TABLE x"],
    ['eSpeak markup', '[[h@loU]] a|b_c'],
    ['control characters', 'a\u0000b\u001b[31mc\u0007'],
    ['right-to-left marks', '\u202Eabc\u{E0041}'],
    ['a thousand accents', 'e' + '\u0301'.repeat(990)],
    ['mixed scripts', 'Hello 你好 there'],
    ['many lines', 'a\n'.repeat(500)],
  ])('%s', async (_, input) => {
    const { app, inputs } = setUp()
    expect((await post(app, { input })).status).toBe(200)
    const made = inputs.map(({ text }) => text).join(' ')
    expect(made).not.toMatch(/[\p{Cc}\p{Cf}\p{M}[\]{}|<>]/u)
  })

  test('speeds from 0.25 to 4 reach the model as they are', async () => {
    const { app, inputs } = setUp()
    for (const speed of [0.25, 4]) expect((await post(app, { input: 'Hi.', speed })).status).toBe(200)
    expect(inputs.map(({ speed }) => speed)).toEqual([0.25, 4])
  })
})

test('instructions are taken, and the reply says that they have no effect', async () => {
  const response = await post(setUp().app, { ...GOOD, instructions: 'Speak like a pirate.' })
  expect([response.status, response.headers.get('x-ignored')]).toEqual([200, 'instructions'])
})

describe('lists', () => {
  test('voices, as Open WebUI reads them', async () => {
    const response = await setUp().app.request('/v1/audio/voices')
    expect(await response.json()).toEqual({
      voices: [
        { id: 'af_demo', name: 'Demo (American, female)', language: 'en-us', default: true },
        { id: 'am_demo', name: 'Demo (American, male)', language: 'en-us', default: false },
      ],
    })
  })

  test('models, as Open WebUI and as OpenAI read them', async () => {
    const { app } = setUp()
    expect(await (await app.request('/v1/audio/models')).json()).toEqual({
      models: [{ id: 'demo/kokoro' }, { id: 'kokoro' }, { id: 'espeak' }],
    })
    expect(await (await app.request('/v1/models')).json()).toMatchObject({
      data: [
        { id: 'demo/kokoro', object: 'model', state: 'ready' },
        { id: 'kokoro' },
        { id: 'tts-1' },
        { id: 'tts-1-hd' },
        { id: 'gpt-4o-mini-tts' },
        { id: 'espeak' },
        { id: 'espeak-ng' },
      ],
    })
    expect(await (await app.request('/v1/models/demo/kokoro')).json()).toMatchObject({ id: 'demo/kokoro' })
    await expectError(await app.request('/v1/models/nope'), 404, 'model_not_found')
  })
})

test('the voices are told without loading a model that nobody has asked for yet', async () => {
  let waits = 0
  const model = { status: { ...STATUS, state: 'idle' as const }, submit: wordy, ready: async () => void waits++ }
  const { app } = setUp(wordy, { model, voices: () => null })
  expect(await (await app.request('/v1/audio/voices')).json()).toMatchObject({ voices: [{ id: 'af_known' }] })
  expect(waits).toBe(0)
})

test('while the model loads, a request is held, and refused with the reason past the limit', async () => {
  const ready = async (): Promise<void> => {
    throw new AppError('model_loading', 'kokoro is loading', { retryAfterMs: 1000 })
  }
  const { app } = setUp(wordy, { model: { status: STATUS, submit: wordy, ready } })
  const response = await post(app, GOOD)
  expect(response.headers.get('retry-after')).toBe('1')
  await expectError(response, 503, 'model_loading')
})
