import { AppError } from '@hearth/shared/errors'
import { createApp } from '@hearth/shared/http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { decodeWav, encodeWav } from '@hearth/shared/wav'
import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { Admission } from './admission.ts'
import { addChatCompletions } from './chat-completions.ts'
import type { ChatOptions } from './chat-completions.ts'
import { fakeStages } from './testing/fake-stages.ts'
import type { Stages } from './turn-events.ts'

const WAV = Buffer.from(encodeWav({ samples: new Float32Array(16_000).fill(0.1), sampleRateHz: 16_000 }))
const SAID = {
  role: 'user',
  content: [{ type: 'input_audio', input_audio: { data: WAV.toString('base64'), format: 'wav' } }],
}
const SPEAK = { modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } }
const SPEAK_PCM = { ...SPEAK, audio: { voice: 'alloy', format: 'pcm16' } }
const HELLO = { role: 'user', content: 'Hello.' }
const REPLY = 'Hello there, Anna. How are you?'
const SPOKEN = ['Hello there, Anna.', 'How are you?']
const HOUR_S = 3600
const NOW_S = 1_700_000_000

const Sound = z.object({ id: z.string(), data: z.base64(), expires_at: z.int(), transcript: z.string() })
const Completion = z.object({
  id: z.string().startsWith('chatcmpl-'),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  choices: z.tuple([
    z.object({
      index: z.literal(0),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.null(),
        audio: Sound.optional(),
      }),
      finish_reason: z.literal('stop'),
    }),
  ]),
})
const Chunk = z.object({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  model: z.string(),
  choices: z.tuple([
    z.object({
      delta: z.object({
        role: z.string().optional(),
        content: z.string().optional(),
        audio: Sound.partial().optional(),
      }),
      finish_reason: z.string().nullable(),
    }),
  ]),
})

function setUp(stages: Partial<Stages> = {}, options: Partial<ChatOptions> = {}) {
  const fakes = fakeStages(stages)
  const log = createLogger({ service: 'orchestrator', level: 'silent' })
  const metrics = createMetrics('orchestrator')
  const app = createApp({ service: 'orchestrator', models: () => [], log, metrics, maxBodyBytes: 10_000_000 })
  addChatCompletions(app, {
    stages: fakes.stages,
    instructions: 'Be kind.',
    admission: new Admission(4),
    turnLimitMs: 60_000,
    log,
    metrics,
    wallClock: () => NOW_S * 1000,
    ...options,
  })
  const ask = async (body: object, init: RequestInit = {}): Promise<Response> =>
    app.request('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...init,
    })
  return { ...fakes, ask, request: async (path: string, init?: RequestInit) => app.request(path, init) }
}

const messageOf = async (response: Response) => Completion.parse(await response.json()).choices[0].message

/** The data of server-sent events, as they come. */
async function* dataOf(response: Response): AsyncGenerator<string, void, void> {
  let held = ''
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const events = (held + text).split('\n\n')
    held = events.pop() ?? ''
    for (const event of events) yield event.replace(/^data: /, '')
  }
}

async function allData(response: Response): Promise<string[]> {
  const all: string[] = []
  for await (const data of dataOf(response)) all.push(data)
  return all
}

async function chunksOf(response: Response) {
  const data = await allData(response)
  expect(data.at(-1)).toBe('[DONE]')
  return data.slice(0, -1).map((text) => Chunk.parse(JSON.parse(text)))
}

describe('text', () => {
  test('is answered as OpenAI does', async () => {
    const response = await setUp().ask({ model: 'gpt-4o', messages: [HELLO] })
    expect(response.status).toBe(200)
    expect(response.headers.get('server-timing')).toMatch(/^llm.first_token;dur=.*llm;dur=/)
    const body = Completion.parse(await response.json())
    expect(body).toMatchObject({ model: 'fake/mind', created: NOW_S })
    expect(body.choices[0].message).toEqual({ role: 'assistant', content: REPLY, refusal: null })
  })

  test('is streamed in chunks with the role first and the reason of the end last', async () => {
    const response = await setUp().ask({ messages: [HELLO], stream: true, stream_options: { include_usage: true } })
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const chunks = await chunksOf(response)
    const deltas = chunks.map(({ choices: [{ delta }] }) => delta)
    expect(deltas[0]).toEqual({ role: 'assistant', content: '' })
    expect(deltas.map(({ content }) => content ?? '').join('')).toBe(REPLY)
    expect(chunks.map(({ choices: [choice] }) => choice.finish_reason).filter(Boolean)).toEqual(['stop'])
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
  })

  test('the conversation becomes instructions, history and question', async () => {
    const app = setUp()
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'developer', content: [{ type: 'text', text: 'Be exact.' }] },
      { role: 'user', content: 'One.' },
      { role: 'user', content: 'Two.' },
      { role: 'assistant', content: 'Three.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Four.' },
          { type: 'text', text: 'Five.' },
        ],
      },
    ]
    await app.ask({ messages, max_completion_tokens: 7, temperature: 0.2 })
    expect(app.prompts).toEqual([
      {
        instructions: 'Be brief.\n\nBe exact.',
        history: [{ user: 'One.\nTwo.', reply: 'Three.' }],
        memories: [],
        user: 'Four.\nFive.',
        maxTokens: 7,
        temperature: 0.2,
      },
    ])
  })

  test('a conversation that begins with the assistant keeps that, and without a system message has ours', async () => {
    const app = setUp()
    await app.ask({ messages: [{ role: 'assistant', content: 'Welcome.' }, HELLO] })
    expect(app.prompts[0]).toMatchObject({ instructions: 'Be kind.', history: [{ user: '', reply: 'Welcome.' }] })
  })

  test('options without effect are taken and named, unknown ones are taken', async () => {
    const asked = { messages: [HELLO], stop: 'x', top_p: 1, n: 1, tools: [], logprobs: true, metadata: {} }
    const { llm } = fakeStages().stages
    const app = setUp({ llm: { ...llm, ignores: () => ['tool_choice'] } })
    const response = await app.ask(asked)
    expect(response.status).toBe(200)
    expect(response.headers.get('x-ignored')).toBe('logprobs, tool_choice')
  })

  test('how the words are to be chosen reaches the language model', async () => {
    const app = setUp()
    const format = { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' } } }
    await app.ask({ messages: [HELLO], stop: 'x', top_p: 0.5, seed: 1, presence_penalty: 1, response_format: format })
    expect(app.prompts[0]?.sampling).toEqual({
      topP: 0.5,
      stop: ['x'],
      seed: 1,
      presencePenalty: 1,
      json: format.json_schema,
    })
  })

  test('what the reply took, and that it was broken off, is told where it is known', async () => {
    const usage = { promptTokens: 7, cachedPromptTokens: 5, replyTokens: 2 }
    const app = setUp({
      llm: {
        name: 'fake/mind',
        async *reply() {
          yield { text: 'Hello ', model: 'fake/mind' }
          yield { text: '', model: 'fake/mind', usage, incomplete: true }
        },
      },
    })
    const told = {
      prompt_tokens: 7,
      completion_tokens: 2,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 5 },
    }
    const whole: unknown = await (await app.ask({ messages: [HELLO] })).json()
    expect(whole).toMatchObject({ choices: [{ finish_reason: 'length' }], usage: told })
    const asked = { messages: [HELLO], stream: true, stream_options: { include_usage: true } }
    const [finish, last] = (await allData(await app.ask(asked))).slice(-3, -1).map((data): unknown => JSON.parse(data))
    expect(finish).toMatchObject({ choices: [{ delta: {}, finish_reason: 'length' }] })
    expect(last).toMatchObject({ choices: [], usage: told })
  })

  test('nothing is heard, spoken or remembered', async () => {
    const app = setUp()
    await app.ask({ messages: [HELLO] })
    expect([app.spoken, app.remembered]).toEqual([[], []])
  })
})

describe('sound', () => {
  test('of the user is heard, and heard once however often it is sent', async () => {
    const heard: number[] = []
    const transcribe: Stages['stt']['transcribe'] = async (wav) => {
      heard.push(wav.length)
      return { text: 'Good morning.', language: 'en', model: 'fake/ear' }
    }
    const app = setUp({ stt: { transcribe } })
    await app.ask({ messages: [SAID] })
    await app.ask({ messages: [SAID, { role: 'assistant', content: 'Hi.' }, HELLO] })
    expect(app.prompts.map(({ user }) => user)).toEqual(['Good morning.', 'Hello.'])
    expect(app.prompts[1]?.history).toEqual([{ user: 'Good morning.', reply: 'Hi.' }])
    expect(heard).toEqual([WAV.length])
  })

  test('of the reply is a WAV file, with its words', async () => {
    const app = setUp()
    const message = await messageOf(await app.ask({ messages: [SAID], ...SPEAK }))
    expect(message).toMatchObject({ content: null, audio: { transcript: REPLY, expires_at: NOW_S + HOUR_S } })
    const sound = decodeWav(Buffer.from(message.audio?.data ?? '', 'base64'), { minSeconds: 0 })
    expect(sound).toMatchObject({ sampleRateHz: 24_000, samples: { length: SPOKEN.join('').length } })
    expect(app.spoken).toEqual(SPOKEN)
  })

  test('of the reply is raw samples for pcm16', async () => {
    const message = await messageOf(await setUp().ask({ messages: [HELLO], ...SPEAK_PCM }))
    expect(Buffer.from(message.audio?.data ?? '', 'base64')).toHaveLength(SPOKEN.join('').length * 2)
  })

  test('a spoken reply can be referred to by its id, streamed or not', async () => {
    const app = setUp()
    const { audio } = await messageOf(await app.ask({ messages: [HELLO], ...SPEAK }))
    const [first] = await chunksOf(await app.ask({ messages: [HELLO], ...SPEAK_PCM, stream: true }))
    for (const id of [audio?.id, first?.choices[0].delta.audio?.id]) {
      const messages = [HELLO, { role: 'assistant', audio: { id } }, { role: 'user', content: 'And you?' }]
      expect((await app.ask({ messages })).status).toBe(200)
      expect(app.prompts.at(-1)?.history).toEqual([{ user: 'Hello.', reply: REPLY }])
    }
  })

  test('is streamed as id, transcript, data and expires_at', async () => {
    const chunks = await chunksOf(await setUp().ask({ messages: [HELLO], ...SPEAK_PCM, stream: true }))
    const deltas = chunks.map(({ choices: [{ delta }] }) => delta)
    const sounds = deltas.map(({ audio }) => audio)
    expect(sounds[0]).toEqual({ id: expect.stringMatching(/^audio_[0-9a-f]{32}$/) })
    expect(sounds.map((sound) => sound?.transcript ?? '').join('')).toBe(REPLY)
    const data = sounds.flatMap((sound) => sound?.data ?? []).map((text) => Buffer.from(text, 'base64').length)
    expect(data).toEqual(SPOKEN.map((text) => text.length * 2))
    expect(sounds.at(-2)).toEqual({ expires_at: NOW_S + HOUR_S })
    expect(deltas.every(({ content }) => content === undefined)).toBe(true)
  })

  test('the first sound is sent while the reply is still being written', async () => {
    const heardFirst = Promise.withResolvers<void>()
    const app = setUp({
      llm: {
        name: 'fake/mind',
        async *reply() {
          yield { text: 'Hello there, my dear Anna. ', model: 'fake/mind' }
          await heardFirst.promise
          yield { text: 'Bye.', model: 'fake/mind' }
        },
      },
    })
    const seen: string[] = []
    for await (const data of dataOf(await app.ask({ messages: [HELLO], ...SPEAK_PCM, stream: true }))) {
      seen.push(data)
      if (data.includes('"data"')) heardFirst.resolve()
    }
    expect(seen.findIndex((data) => data.includes('"data"'))).toBeLessThan(
      seen.findIndex((data) => data.includes('Bye')),
    )
  })
})

const WEATHER = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } } as const
const CALL = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Prague"}' } } as const

describe('functions of the client, as the openai client uses them', () => {
  /** Asks for the weather, and once it has been told, says it. */
  function knowing() {
    const app = setUp({
      llm: {
        name: 'fake/mind',
        async *reply(prompt) {
          app.prompts.push(prompt)
          const told = prompt.results?.map(({ content }) => content).join() ?? ''
          yield { text: told === '' ? 'One moment. ' : `It is ${told}.`, model: 'fake/mind' }
          const toolCalls = [{ id: 'call_1', name: 'weather', args: '{"city":"Prague"}' }]
          yield { text: '', model: 'fake/mind', ...(told === '' && { toolCalls }) }
        },
      },
    })
    const fetch = async (url: unknown, init?: RequestInit) => app.request(String(url), init)
    return { ...app, client: new OpenAI({ apiKey: 'none', baseURL: 'http://hearth/v1', fetch }) }
  }
  const question = { role: 'user', content: 'How is the weather?' } as const

  test('a call ends the reply, and its result is answered', async () => {
    const { client, prompts } = knowing()
    const asked = { model: 'any', messages: [question], tools: [WEATHER] }
    const first = await client.chat.completions.create(asked)
    const [choice] = first.choices
    expect(choice).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: 'One moment. ', tool_calls: [CALL] },
    })
    expect(prompts[0]?.tools).toEqual([WEATHER.function])
    if (!choice) throw new Error('expected a choice')
    const result = { role: 'tool', tool_call_id: 'call_1', content: 'rainy' } as const
    const second = await client.chat.completions.create({ ...asked, messages: [question, choice.message, result] })
    expect(second.choices[0]?.message.content).toBe('It is rainy.')
    expect(prompts[1]).toMatchObject({
      user: '',
      results: [{ id: 'call_1', content: 'rainy' }],
      history: [{ user: question.content, reply: 'One moment. ', calls: [{ id: 'call_1', name: 'weather' }] }],
    })
  })

  test('a call comes in a stream too', async () => {
    const { client } = knowing()
    const stream = client.chat.completions.stream({ model: 'any', messages: [question], tools: [WEATHER] })
    const { choices } = await stream.finalChatCompletion()
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [CALL] } })
  })
})

describe('what goes wrong', () => {
  const part = (content: object) => ({ messages: [{ role: 'user', content: [content] }] })
  const sound = (data: string, format = 'wav') => part({ type: 'input_audio', input_audio: { data, format } })

  test.each<[string, object, string, string]>([
    ['no messages', { messages: [] }, 'invalid_request', 'messages'],
    ['half a tool', { messages: [HELLO], tools: [{ type: 'function' }] }, 'invalid_request', 'tools.0.function'],
    ['a tool twice', { messages: [HELLO], tools: [WEATHER, WEATHER] }, 'invalid_request', 'tools'],
    [
      'a choice that is no tool',
      { messages: [HELLO], tools: [WEATHER], tool_choice: { type: 'function', function: { name: 'x' } } },
      'invalid_request',
      'tool_choice',
    ],
    [
      'a result without an id',
      { messages: [HELLO, { role: 'tool', content: 'x' }] },
      'invalid_request',
      'messages.1.tool_call_id',
    ],
    [
      'a result of no call',
      { messages: [HELLO, { role: 'tool', content: 'x', tool_call_id: 'a' }] },
      'invalid_request',
      'messages',
    ],
    [
      'a call without a result',
      { messages: [HELLO, { role: 'assistant', content: null, tool_calls: [CALL] }, HELLO] },
      'invalid_request',
      'messages',
    ],
    [
      'a call of the user',
      { messages: [{ ...HELLO, tool_calls: [CALL] }] },
      'invalid_request',
      'messages.0.tool_calls',
    ],
    ['two choices', { messages: [HELLO], n: 2 }, 'invalid_request', 'n'],
    ['an image', part({ type: 'image_url', image_url: { url: 'x' } }), 'invalid_request', 'messages.0.content.0.type'],
    ['midi', sound('AAAA', 'midi'), 'invalid_request', 'messages.0.content.0.input_audio.format'],
    ['no base64', sound('not base64'), 'invalid_request', 'messages.0.content.0.input_audio.data'],
    [
      'no WAV',
      sound(Buffer.from('hello hello hello').toString('base64')),
      'undecodable_audio',
      'messages.0.content.0.input_audio.data',
    ],
    ['no last question', { messages: [HELLO, { role: 'assistant', content: 'Hi.' }] }, 'invalid_request', 'messages'],
    ['an empty question', { messages: [{ role: 'user', content: ' ' }] }, 'empty_text', 'messages'],
    ['XML output', { messages: [HELLO], response_format: { type: 'xml' } }, 'invalid_request', 'response_format.type'],
    ['sound without audio', { messages: [HELLO], modalities: ['text', 'audio'] }, 'invalid_request', 'audio'],
    ['a stream of WAV', { messages: [HELLO], ...SPEAK, stream: true }, 'invalid_request', 'audio.format'],
    [
      'mp3 out',
      { messages: [HELLO], ...SPEAK, audio: { voice: 'a', format: 'mp3' } },
      'invalid_request',
      'audio.format',
    ],
    [
      'an unknown reply',
      { messages: [{ role: 'assistant', audio: { id: `audio_${'0'.repeat(32)}` } }, HELLO] },
      'invalid_request',
      'messages.0.audio.id',
    ],
    [
      'sound of the assistant',
      { messages: [{ ...SAID, role: 'assistant' }, HELLO] },
      'invalid_request',
      'messages.0.content.0',
    ],
    ['too much text', { messages: [{ role: 'user', content: 'x'.repeat(262_145) }] }, 'text_too_long', 'messages'],
  ])('%s is refused before anything is heard or written', async (_, body, code, param) => {
    const app = setUp({ stt: { transcribe: () => Promise.reject(new Error('expected no call')) } })
    const response = await app.ask(body)
    expect(response.status).toBeGreaterThanOrEqual(400)
    expect(response.status).toBeLessThan(500)
    expect(await response.json()).toMatchObject({ error: { code, param } })
    expect(app.prompts).toEqual([])
  })

  test('the refusal of a format names what is supported', async () => {
    const response = await setUp().ask(sound('AAAA', 'midi'))
    expect(await response.json()).toMatchObject({ error: { message: expect.stringContaining('wav, mp3') } })
  })

  test('what the ear says of a file is told of the field that it came in', async () => {
    const transcribe = () => Promise.reject(new AppError('audio_too_long', 'too long', { param: 'file' }))
    const response = await setUp({ stt: { transcribe } }).ask({ messages: [SAID] })
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ error: { param: 'messages.0.content.0.input_audio.data' } })
  })

  test('when one sound is refused, the others are no longer waited for', async () => {
    const stopped = Promise.withResolvers<void>()
    const short = WAV.subarray(0, 20_000)
    const transcribe: Stages['stt']['transcribe'] = async (wav, signal) => {
      if (wav.length === short.length) throw new AppError('overloaded', 'too much at once')
      signal.addEventListener('abort', () => stopped.resolve())
      return new Promise(() => {})
    }
    const { messages } = sound(short.toString('base64'))
    const response = await setUp({ stt: { transcribe } }).ask({ messages: [SAID, ...messages] })
    expect(response.status).toBe(429)
    await stopped.promise
  })

  test('a sound in which nobody speaks is a question without words', async () => {
    const app = setUp({ stt: { transcribe: async () => ({ text: '', language: 'en', model: 'fake/ear' }) } })
    expect(await (await app.ask({ messages: [SAID] })).json()).toMatchObject({ error: { code: 'empty_text' } })
  })

  test('a voice that does not exist is refused before the reply is written', async () => {
    const { stages } = fakeStages()
    const requireVoice = () => Promise.reject(new AppError('voice_not_found', 'no such voice', { param: 'voice' }))
    const app = setUp({ tts: { ...stages.tts, requireVoice } })
    expect((await app.ask({ messages: [HELLO], ...SPEAK })).status).toBe(404)
    expect(app.prompts).toEqual([])
  })

  test('a mind that is away is an error with a status, streamed or not', async () => {
    const away: Stages['llm'] = {
      name: 'fake/mind',
      // oxlint-disable-next-line require-yield
      async *reply() {
        throw new AppError('dependency_unavailable', 'no language model can answer now')
      },
    }
    for (const stream of [false, true])
      expect((await setUp({ llm: away }).ask({ messages: [HELLO], stream })).status).toBe(503)
  })

  test('a stream that fails in the middle ends with the error, and without [DONE]', async () => {
    const { stages } = fakeStages()
    const speak = () => Promise.reject(new AppError('stage_failed', 'tts: it does not answer'))
    const app = setUp({ tts: { ...stages.tts, speak } })
    const data = await allData(await app.ask({ messages: [HELLO], ...SPEAK_PCM, stream: true }))
    expect(JSON.parse(data.at(-1) ?? '')).toMatchObject({ error: { code: 'stage_failed', type: 'server_error' } })
    expect(data).not.toContain('[DONE]')
    expect((await app.ask({ messages: [HELLO], ...SPEAK })).status).toBe(502)
  })

  test('a client that leaves stops the mind and gives its place back', async () => {
    const stopped = Promise.withResolvers<void>()
    const llm: Stages['llm'] = {
      name: 'fake/mind',
      async *reply(_, signal) {
        yield { text: 'Hello ', model: 'fake/mind' }
        const aborted = Promise.withResolvers<never>()
        signal.addEventListener('abort', () => {
          stopped.resolve()
          aborted.reject(signal.reason)
        })
        await aborted.promise
      },
    }
    const app = setUp({ llm }, { admission: new Admission(1) })
    const response = await app.ask({ messages: [HELLO], stream: true })
    expect((await app.ask({ messages: [HELLO] })).status).toBe(429)
    await response.body?.cancel()
    await stopped.promise
    expect((await app.ask({ messages: [HELLO], stream: true })).status).toBe(200)
  })

  test('a place is given back after every reply and every refusal', async () => {
    const app = setUp({}, { admission: new Admission(1) })
    for (const body of [{ messages: [HELLO] }, { messages: [] }, { messages: [HELLO], stream: true }])
      await (await app.ask(body)).text()
    expect((await app.ask({ messages: [HELLO] })).status).toBe(200)
  })

  test('a reply that takes too long ends', async () => {
    const llm: Stages['llm'] = {
      name: 'fake/mind',
      async *reply(_, signal) {
        yield { text: 'Hello ', model: 'fake/mind' }
        await new Promise((__, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
    }
    expect((await setUp({ llm }, { turnLimitMs: 20 }).ask({ messages: [HELLO] })).status).toBe(504)
  })
})
