import { once } from 'node:events'
import { encodeWav } from '@hearth/shared/wav'
import { ErrorBody, HearingProgress, Transcription } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { eventually } from '@hearth/shared/testing/eventually'
import { describe, expect, test } from 'vitest'
import type { Abilities } from './abilities.ts'
import { ABLE, form, heard, setUp, STATUS, turns, UNABLE, wav } from './testing/stt-app.ts'
import type { Submit } from './transcribe.ts'

type App = ReturnType<typeof setUp>['app']
const TRANSCRIPTIONS = '/v1/audio/transcriptions'
const post = async (
  app: App,
  body: FormData | string,
  headers: Readonly<Record<string, string>> = {},
  path = TRANSCRIPTIONS,
): Promise<Response> => app.request(path, { method: 'POST', body, headers })

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

  test('hands its wishes to the engine', async () => {
    const { app, inputs } = setUp()
    const wishes = { prompt: 'Names: Vulani.', hotwords: 'Vulani', temperature: '0.2', stream: 'false', language: '' }
    expect((await post(app, form(wav(), wishes))).status).toBe(200)
    expect(inputs[0]).toMatchObject({
      prompt: 'Names: Vulani.',
      hotwords: 'Vulani',
      temperature: 0.2,
      task: 'transcribe',
      timestamps: 'none',
      language: null,
    })
  })

  test('leaves the temperature to the fallbacks when it names none, or 0', async () => {
    const { app, inputs } = setUp()
    await post(app, form(wav(), { temperature: '0' }))
    expect(inputs[0]).not.toHaveProperty('temperature')
  })

  test('may be a translation', async () => {
    const { app, inputs } = setUp()
    const response = await post(app, form(wav(), { response_format: 'verbose_json' }), {}, '/v1/audio/translations')
    expect(await response.json()).toMatchObject({ task: 'translate', text: 'Good morning.' })
    expect(inputs[0]).toMatchObject({ task: 'translate' })
  })

  test('is told of word granularity that its format can not show', async () => {
    const response = await post(setUp().app, form(wav(), { 'timestamp_granularities[]': 'word' }))
    expect([response.status, response.headers.get('x-ignored')]).toEqual([200, 'timestamp_granularities'])
  })

  test("waits for the model when it names a language and the model's are not known yet", async () => {
    let known: Abilities | null = null
    const ready = async () => void (known = ABLE)
    const model = { status: STATUS, submit: async () => heard(), ready }
    const { app } = setUp(undefined, { model, abilities: () => known })
    expect((await post(app, form(wav(), { language: 'de' }))).status).toBe(200)
  })
})

describe('what a model can not do is refused before the queue:', () => {
  test('word times', async () => {
    const { app, inputs } = setUp(undefined, { abilities: () => UNABLE })
    const body = form(wav(), { response_format: 'verbose_json', 'timestamp_granularities[]': ['word', 'segment'] })
    const error = await expectError(await post(app, body), 400, 'invalid_request')
    expect(error).toMatchObject({ param: 'timestamp_granularities' })
    expect(error.message).toContain('cross-attentions')
    expect(inputs).toHaveLength(0)
  })

  test.each(['prompt', 'hotwords'])('a %s', async (param) => {
    const { app, inputs } = setUp(undefined, { abilities: () => UNABLE })
    const error = await expectError(await post(app, form(wav(), { [param]: 'Anna' })), 400, 'invalid_request')
    expect(error).toMatchObject({ param })
    expect(inputs).toHaveLength(0)
    // Clients that send every field mean nothing by an empty one.
    expect((await post(app, form(wav(), { [param]: '' }))).status).toBe(200)
  })

  test('a language that it does not know, by the names of those it does', async () => {
    const { app } = setUp(undefined, { abilities: () => UNABLE })
    const error = await expectError(await post(app, form(wav(), { language: 'de' })), 400, 'invalid_request')
    expect(error).toMatchObject({ param: 'language', message: expect.stringContaining('en (english)') })
    expect((await post(app, form(wav(), { language: 'english' }))).status).toBe(200)
  })

  test('translations', async () => {
    const { app } = setUp(undefined, { abilities: () => UNABLE })
    await expectError(await post(app, form(), {}, '/v1/audio/translations'), 400, 'invalid_request')
  })
})

describe('a reply', () => {
  const words = [
    { text: ' Good', startSeconds: 0.1, endSeconds: 0.4, probability: 0.9 },
    { text: ' morning.', startSeconds: 0.4, endSeconds: 0.9, probability: 0.8 },
  ]
  const timed: Submit = async () => heard({ words, languageProbability: 0.97 })
  const ask = async (fields: Parameters<typeof form>[1], submit: Submit = timed) =>
    post(setUp(submit).app, form(turns(1, 3, 2, 1), fields))

  test("may be OpenAI's verbose JSON, with times in the whole recording", async () => {
    const reply: unknown = await (await ask({ response_format: 'verbose_json' })).json()
    const segment = {
      text: ' Good morning.',
      tokens: [1, 2, 3],
      temperature: 0,
      avg_logprob: -0.25,
      no_speech_prob: 0.01,
    }
    expect(reply).toMatchObject({
      task: 'transcribe',
      language: 'english',
      language_code: 'en',
      language_probability: 0.97,
      duration: 7,
      text: 'Good morning. Good morning.',
      segments: [
        { id: 0, seek: 10, start: 0.1, end: 0.9, compression_ratio: 0.9, ...segment },
        { id: 1, start: expect.closeTo(3.8, 1), end: expect.closeTo(4.6, 1), ...segment },
      ],
      usage: { type: 'duration', seconds: 7 },
    })
    expect(reply).not.toHaveProperty('words')
  })

  for (const name of ['timestamp_granularities[]', 'timestamp_granularities'])
    test(`has words when they are asked for by ${name}`, async () => {
      const reply: unknown = await (await ask({ response_format: 'verbose_json', [name]: 'word' })).json()
      expect(reply).toHaveProperty('words[1]', { word: 'morning.', start: 0.4, end: 0.9, probability: 0.8 })
      expect(reply).toHaveProperty('words.length', 4)
    })

  test('may be subtitles of either kind', async () => {
    const srt = await ask({ response_format: 'srt' })
    expect(srt.headers.get('content-type')).not.toContain('json')
    expect(await srt.text()).toMatch(
      /^1\n00:00:00,100 --> 00:00:00,900\nGood morning.\n\n2\n00:00:03,\d{3} --> 00:00:04,\d{3}\nGood morning.\n\n$/,
    )
    const vtt = await (await ask({ response_format: 'vtt' })).text()
    expect(vtt).toMatch(/^WEBVTT\n\n00:00:00\.100 --> 00:00:00\.900\nGood morning.\n\n00:00:03/)
  })

  test('of subtitles can not be broken by what was said', async () => {
    const sly: Submit = async () => heard({ text: 'a --> b\n\n2\n00:00' })
    expect(await (await ask({ response_format: 'vtt' }, sly)).text()).toContain('a -> b 2 00:00\n\n')
  })

  test('tells what was wrong with the file', async () => {
    const decode = async () => ({ pieces: [new Int16Array(16_000).fill(9000)], seconds: 1, warnings: ['truncated'] })
    const reply: unknown = await (await post(setUp(undefined, { decode }).app, form())).json()
    expect(reply).toHaveProperty('warnings', ['truncated'])
  })
})

describe('silence', () => {
  test('is an empty text, without asking the engine', async () => {
    const { app, inputs } = setUp()
    const reply: unknown = await (await post(app, form(turns(0, 5)))).json()
    expect(reply).toMatchObject({ text: '', no_speech: true, usage: { seconds: 5 } })
    expect(inputs).toHaveLength(0)
  })

  test('is left out between what is said, and heard when the caller wants it', async () => {
    const recording = turns(1, 20, 1, 20)
    const { app, inputs } = setUp()
    await post(app, form(recording))
    expect(inputs.map(({ samples }) => samples.length / 16_000)).toEqual([
      expect.closeTo(1.3, 1),
      expect.closeTo(1.6, 1),
    ])
    inputs.length = 0
    await post(app, form(recording, { vad_filter: 'false' }))
    expect(inputs.reduce((sum, { samples }) => sum + samples.length, 0)).toBe(42 * 16_000)
  })

  test("is found as the caller's chunking says", async () => {
    const { app, inputs } = setUp()
    const recording = turns(1, 0.5, 1, 1.5, 1)
    await post(app, form(recording))
    expect(inputs).toHaveLength(2)
    inputs.length = 0
    await post(
      app,
      form(recording, { 'chunking_strategy[type]': 'server_vad', 'chunking_strategy[threshold]': '0.95' }),
    )
    expect(inputs).toHaveLength(0)
    await post(app, form(recording, { chunking_strategy: 'auto' }))
    expect(inputs).toHaveLength(2)
  })
})

describe('a stream', () => {
  const events = async (response: Response) =>
    (await response.text())
      .split('\n\n')
      .filter(Boolean)
      .map((line): unknown => (line === 'data: [DONE]' ? 'DONE' : JSON.parse(line.slice('data: '.length))))

  test('brings what is certain, then all of it with its usage', async () => {
    let count = 0
    const { app } = setUp(async () => heard({ text: `Part ${++count}.` }))
    const response = await post(app, form(turns(1, 3, 1), { stream: 'true' }))
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(await events(response)).toEqual([
      { type: 'transcript.text.delta', delta: 'Part 1.' },
      { type: 'transcript.text.delta', delta: ' Part 2.' },
      {
        type: 'transcript.text.done',
        text: 'Part 1. Part 2.',
        language: 'en',
        model: 'demo/whisper',
        usage: {
          type: 'tokens',
          input_tokens: 258,
          input_token_details: { text_tokens: 8, audio_tokens: 250 },
          output_tokens: 6,
          total_tokens: 264,
        },
      },
      'DONE',
    ])
  })

  test('of a long recording tells how far it is, and of verbose JSON has segments', async () => {
    const { app } = setUp()
    const all = await events(
      await post(app, form(turns(30, 5, 30), { stream: 'true', response_format: 'verbose_json' })),
    )
    const kinds = all.map((each) => (each as { type?: string }).type)
    expect(kinds.filter((kind) => kind === 'transcript.progress').length).toBeGreaterThanOrEqual(2)
    expect(kinds).toContain('transcript.text.segment')
  })

  test('that fails before its first event is answered as any error, later it ends with one', async () => {
    let count = 0
    const failing =
      (at: number): Submit =>
      async () => {
        if (++count >= at) throw new AppError('overloaded', 'the queue is full', { retryAfterMs: 500 })
        return heard()
      }
    const recording = () => form(turns(1, 3, 1), { stream: 'true' })
    await expectError(await post(setUp(failing(1)).app, recording()), 429, 'overloaded')
    count = 0
    const all = await events(await post(setUp(failing(2)).app, recording()))
    expect(all).toEqual([
      { type: 'transcript.text.delta', delta: 'Good morning.' },
      expect.objectContaining({ error: expect.objectContaining({ code: 'overloaded' }) }),
    ])
  })

  test('whose reader leaves gives up what is under way', async () => {
    const signals: AbortSignal[] = []
    const slow: Submit = async (_, signal) => {
      signals.push(signal)
      if (signals.length === 1) return heard()
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('left'))))
    }
    const response = await post(setUp(slow).app, form(turns(1, 3, 1, 3, 1), { stream: 'true', language: 'en' }))
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    await eventually(() => expect(signals.slice(1).every(({ aborted }) => aborted)).toBe(true))
  })

  test('that nobody begins to read gives up what is under way, and where its sound comes from', async () => {
    const signals: AbortSignal[] = []
    const slow: Submit = async (_, signal) => {
      signals.push(signal)
      return signals.length === 1 ? heard() : new Promise(() => undefined)
    }
    let isLetGo = false
    async function* pieces() {
      try {
        for (;;) yield new Int16Array(160_000).fill(9000)
      } finally {
        isLetGo = true
      }
    }
    const decode = async () => ({ pieces: pieces(), seconds: 3600, warnings: [] })
    const response = await post(setUp(slow, { decode }).app, form(wav(), { stream: 'true' }))
    await response.body?.cancel()
    expect(isLetGo).toBe(true)
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
  })
})

describe('the progress of a request that has a name for it', () => {
  const NAMED = { 'x-progress-id': 'job-1' }
  const progressOf = async (app: ReturnType<typeof setUp>['app'], id = 'job-1') => {
    const reply = await app.request(`/v1/audio/progress/${id}`)
    return reply.ok ? reply.json() : reply.status
  }

  test('is told while it is heard, and forgotten at its end', async () => {
    const held = Array.from({ length: 3 }, () => Promise.withResolvers<void>())
    let asked = 0
    const { app } = setUp(async () => {
      await held[asked++]?.promise
      return heard()
    })
    const body = form(turns(20, 3, 20, 3, 20), { language: 'en' })
    const reply = app.request('/v1/audio/transcriptions', { method: 'POST', body, headers: NAMED })
    await eventually(async () => expect(await progressOf(app)).toEqual({ seconds: 0, total_seconds: 66 }))
    held[0]?.resolve()
    await eventually(async () => {
      const { seconds } = HearingProgress.parse(await progressOf(app))
      expect(seconds).toBeGreaterThan(19)
      expect(seconds).toBeLessThan(30)
    })
    expect(await progressOf(app, 'job-2')).toBe(404)
    for (const { resolve } of held) resolve()
    expect((await reply).status).toBe(200)
    expect(await progressOf(app)).toBe(404)
  })

  test('is forgotten when its client leaves, or it fails', async () => {
    const { app } = setUp(async (_input, signal) => {
      await once(signal, 'abort')
      throw signal.reason
    })
    const leaving = new AbortController()
    const call = { method: 'POST', body: form(turns(20, 3, 20)), headers: NAMED, signal: leaving.signal }
    const reply = app.request('/v1/audio/transcriptions', call)
    await eventually(async () => expect(await progressOf(app)).toMatchObject({ seconds: 0 }))
    leaving.abort()
    await reply
    expect(await progressOf(app)).toBe(404)
  })

  test.each(['json', 'text', 'srt', 'vtt', 'verbose_json', 'stream'])(
    'changes nothing in its reply as %s',
    async (kind) => {
      const ask = async (headers: Record<string, string>) => {
        const { app } = setUp(undefined, { now: () => 0 })
        const fields = kind === 'stream' ? { stream: 'true' } : { response_format: kind }
        const body = form(turns(20, 3, 20), fields)
        const asked = { method: 'POST', body, headers: { ...headers, 'x-request-id': 'one' } }
        const reply = await app.request('/v1/audio/transcriptions', asked)
        return { status: reply.status, headers: Object.fromEntries(reply.headers), body: await reply.text() }
      }
      expect(await ask(NAMED)).toEqual(await ask({}))
    },
  )
})

describe('a repeat', () => {
  test('is answered from the cache, and says so', async () => {
    const { app, inputs } = setUp(undefined, { cacheSeconds: 60 })
    const first = await post(app, form())
    const second = await post(app, form())
    expect([first, second].map(({ headers }) => headers.get('x-cache'))).toEqual(['miss', 'hit'])
    expect(await second.json()).toEqual(await first.json())
    expect(inputs).toHaveLength(1)
  })

  test('with another wish, or after its time, is heard again', async () => {
    const { app, inputs } = setUp(undefined, { cacheSeconds: 60 })
    await post(app, form())
    await post(app, form(wav(), { language: 'de' }))
    await post(app, form(wav(), { response_format: 'verbose_json' }))
    await post(app, form(), {}, '/v1/audio/translations')
    expect(inputs).toHaveLength(4)
    const { app: forgetful, inputs: others } = setUp()
    await post(forgetful, form())
    await post(forgetful, form())
    expect(others).toHaveLength(2)
  })
})

test('of recordings that take long, two are heard at once and a third is refused', async () => {
  const gate = Promise.withResolvers<void>()
  const decode = async () => ({ pieces: [new Int16Array(16_000).fill(9000)], seconds: 3600, warnings: [] })
  const { app } = setUp(async () => gate.promise.then(() => heard()), { decode })
  const first = [post(app, form()), post(app, form())]
  await expectError(await post(app, form()), 429, 'overloaded')
  gate.resolve()
  for (const response of await Promise.all(first)) expect(response.status).toBe(200)
  expect((await post(app, form())).status).toBe(200)
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
    // Nothing of it is lost: the cuts of one long sound touch each other.
    expect(inputs.reduce((sum, { samples }) => sum + samples.length, 0)).toBe(75 * 16_000)
    for (const { samples } of inputs) expect(samples.length).toBeLessThanOrEqual(30 * 16_000)
  })

  test('is read as it is heard: not more than a few minutes are held before the engine or in it', async () => {
    const piece = new Int16Array(10 * 16_000).fill(9000)
    let [read, done, most] = [0, 0, 0]
    async function* hour() {
      for (let seconds = 0; seconds < 3600; seconds += 10) {
        read += 10
        most = Math.max(most, read - done)
        yield piece
      }
    }
    const submit: Submit = async ({ samples }) => {
      const seconds = samples.length / 16_000
      await new Promise(setImmediate)
      done += seconds
      return heard()
    }
    for (const fields of [{ vad_filter: 'true' }, { vad_filter: 'false' }, { stream: 'true' }]) {
      ;[read, done, most] = [0, 0, 0]
      const decode = async () => ({ pieces: hour(), seconds: 3600, warnings: [] })
      const reply = await post(setUp(submit, { decode }).app, form(wav(), fields))
      expect(await reply.text()).toContain('Good morning')
      expect(read).toBe(3600)
      expect(done).toBeCloseTo(3600, 3)
      // Eight chunks of 30 s under way, a minute that is listened to, and what it left over.
      expect(most).toBeLessThan(8 * 30 + 60 + 45)
    }
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
      'speakers told apart',
      () => form(wav(), { response_format: 'diarized_json' }),
      400,
      'invalid_request',
      'response_format',
    ],
    ['a temperature that is none', () => form(wav(), { temperature: 'warm' }), 400, 'invalid_request', 'temperature'],
    ['a temperature out of range', () => form(wav(), { temperature: '2' }), 400, 'invalid_request', 'temperature'],
    ['an endless prompt', () => form(wav(), { prompt: 'x'.repeat(9000) }), 400, 'invalid_request', 'prompt'],
    [
      'a stream of subtitles',
      () => form(wav(), { stream: 'true', response_format: 'srt' }),
      400,
      'invalid_request',
      'response_format',
    ],
    ['a stream that is neither', () => form(wav(), { stream: 'maybe' }), 400, 'invalid_request', 'stream'],
    ['an unknown granularity', () => form(wav(), { 'timestamp_granularities[]': 'syllable' }), 400, 'invalid_request'],
    ['log probabilities of tokens', () => form(wav(), { 'include[]': 'logprobs' }), 400, 'invalid_request', 'include'],
    ['an unknown way to cut', () => form(wav(), { 'chunking_strategy[type]': 'axe' }), 400, 'invalid_request'],
    [
      'a way to cut that is broken JSON',
      () => form(wav(), { chunking_strategy: '{' }),
      400,
      'invalid_request',
      'chunking_strategy',
    ],
    ['a file by its address', () => form(null, { url: 'http://169.254.169.254/' }), 400, 'unknown_field', 'url'],
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
    const format = await expectError(await post(app, form(wav(), { response_format: 'exe' })), 400, 'invalid_request')
    expect(format.message).toContain('expected json, text, srt')
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

test.each([ABLE, UNABLE])('what is loaded is told with the family that its files are of', async (abilities) => {
  const { app } = setUp(undefined, { abilities: () => abilities })
  const { family } = abilities
  const list: unknown = await (await app.request('/api/ps')).json()
  expect(list).toMatchObject({ models: [{ name: 'demo/whisper', details: { family, families: [family] } }] })
})
