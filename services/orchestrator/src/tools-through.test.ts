/** Functions of the client all the way: the official openai client, the chat route, the language models, and servers of both shapes. */
import { createApp } from '@hearth/shared/http'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import OpenAI from 'openai'
import { afterEach, describe, expect, test } from 'vitest'
import { Admission } from './admission.ts'
import { addChatCompletions } from './chat-completions.ts'
import { readOrchestratorConfig } from './config.ts'
import { createLanguageModels } from './stages/language-models.ts'
import { fakeStages } from './testing/fake-stages.ts'
import { sendJson, startStub } from './testing/http-stub.ts'
import type { HttpStub } from './testing/http-stub.ts'
import { NO_CHAT } from './testing/no-chat.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** What the server's model answers with. */
type Said = { readonly text: string; readonly calls?: readonly Called[]; readonly reason?: string }
type Called = { readonly name: string; readonly args: Readonly<Record<string, unknown>> }

const sse = (...events: object[]) =>
  `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`
const choice = (delta: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
})

/** The arguments come in two halves. */
function openAiReply({ text, calls = [], reason = calls.length > 0 ? 'tool_calls' : 'stop' }: Said): string {
  const deltas = calls.flatMap(({ name, args }, index) => {
    const json = JSON.stringify(args)
    const first = { index, id: `call_${index}`, type: 'function', function: { name, arguments: json.slice(0, 4) } }
    return [first, { index, function: { arguments: json.slice(4) } }]
  })
  const usage = { prompt_tokens: 20, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 16 } }
  return sse(
    choice({ role: 'assistant', content: text }),
    ...deltas.map((delta) => choice({ tool_calls: [delta] })),
    choice({}, reason),
    { choices: [], usage },
  )
}

function ollamaReply({ text, calls = [], reason = 'stop' }: Said): string {
  const tool_calls = calls.map(({ name, args }) => ({ function: { name, arguments: args } }))
  const message = { role: 'assistant', content: text, ...(calls.length > 0 && { tool_calls }) }
  const counts = { prompt_eval_count: 20, prompt_eval_cached_count: 16, eval_count: 4 }
  return `${JSON.stringify({ message, done: false })}\n${JSON.stringify({ message: { content: '' }, done: true, done_reason: reason, ...counts })}\n`
}

const SERVERS = ['openai', 'ollama'] as const

/** A client of Hearth, whose language model runs on a server that says one thing after another. */
async function setUp(kind: (typeof SERVERS)[number], ...said: readonly Said[]) {
  const asked: Record<string, unknown>[] = []
  const stub: HttpStub = await startStub((response, { path, body }) => {
    if (path === '/api/tags') return sendJson(response, { models: [{ name: 'm:latest' }] })
    const request: Record<string, unknown> = JSON.parse(body)
    const next = said[asked.length]
    // The model is loaded, and reads the instructions, before the first reply.
    if (request['stream'] !== true) return sendJson(response, { message: { content: '' }, done: true })
    asked.push(request)
    response.end(next && (kind === 'openai' ? openAiReply(next) : ollamaReply(next)))
  })
  const log = createLogger({ service: 'test', level: 'silent' })
  const servers = { OLLAMA_URL: stub.url, OLLAMA_MODEL: 'm', LLM_URL: `${stub.url}/v1`, LLM_MODEL: 'm' }
  const config = readOrchestratorConfig({ ...servers, LLM_CHAIN: kind, LLM_TOOLS: 'true' })
  const llm = createLanguageModels(config, NO_CHAT, log)
  closing.push(
    async () => llm.close(),
    async () => stub.close(),
  )
  await llm.start()

  const metrics = createMetrics('test')
  const app = createApp({ service: 'test', models: () => [], log, metrics, maxBodyBytes: 200_000 })
  const options = { instructions: 'Be kind.', admission: new Admission(2), turnLimitMs: 60_000, log, metrics }
  const fakes = fakeStages()
  addChatCompletions(app, { stages: { ...fakes.stages, llm }, ...options })
  const fetch = async (url: unknown, init?: RequestInit) => app.request(String(url), init)
  const client = new OpenAI({ apiKey: 'none', baseURL: 'http://hearth/v1', fetch, maxRetries: 0 })
  return { client, asked, spoken: fakes.spoken }
}

const WEATHER = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } } as const
const QUESTION = { role: 'user', content: 'How is the weather in Prague and in Brno?' } as const
const ASKED = { model: 'any', messages: [QUESTION], tools: [WEATHER] }
const CITIES = ['Prague', 'Brno'].map((city) => ({ name: 'weather', args: { city } }))
const USAGE = {
  prompt_tokens: 20,
  completion_tokens: 4,
  total_tokens: 24,
  prompt_tokens_details: { cached_tokens: 16 },
}

describe.each(SERVERS)('with a server of the kind %s', (kind) => {
  test('two calls end the reply, their results are answered, and both are counted', async () => {
    const { client, asked } = await setUp(kind, { text: 'Wait. ', calls: CITIES }, { text: 'Rain and sun.' })
    const first = await client.chat.completions.create(ASKED)
    expect(first).toMatchObject({ model: `${kind}/m`, usage: USAGE, choices: [{ finish_reason: 'tool_calls' }] })
    const message = first.choices[0]?.message
    const calls = (message?.tool_calls ?? []).filter((call) => call.type === 'function')
    expect(calls.map((call) => JSON.parse(call.function.arguments))).toEqual([{ city: 'Prague' }, { city: 'Brno' }])
    expect(new Set(calls.map(({ id }) => id)).size).toBe(2)
    if (!message) throw new Error('expected a message')
    const results = calls.map(({ id }, at) => ({ role: 'tool' as const, tool_call_id: id, content: `result ${at}` }))
    const second = await client.chat.completions.create({ ...ASKED, messages: [QUESTION, message, ...results] })
    expect(second.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Rain and sun.' } })
    expect(asked.map(({ tools }) => tools)).toEqual([
      expect.arrayContaining([expect.objectContaining({ function: WEATHER.function })]),
      expect.arrayContaining([expect.objectContaining({ function: WEATHER.function })]),
    ])
    const told = { openai: { tool_call_id: calls[1]?.id }, ollama: { tool_name: 'weather' } }[kind]
    expect(asked[1]?.['messages']).toMatchObject([
      { role: 'system' },
      { role: 'user', content: QUESTION.content },
      { role: 'assistant', content: 'Wait. ', tool_calls: [{ function: { name: 'weather' } }, {}] },
      { role: 'tool', content: 'result 0' },
      { role: 'tool', content: 'result 1', ...told },
    ])
  })

  test('a stream brings words, then the calls, then the counts', async () => {
    const { client } = await setUp(kind, { text: 'Wait. ', calls: CITIES })
    const options = { stream: true, stream_options: { include_usage: true } } as const
    const stream = await client.chat.completions.create({ ...ASKED, ...options })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta))
    expect(deltas.map(({ content }) => content ?? '').join('')).toBe('Wait. ')
    expect(deltas.flatMap(({ tool_calls: calls = [] }) => calls)).toEqual(
      CITIES.map(({ name, args }, index) => ({
        index,
        id: expect.any(String),
        type: 'function',
        function: { name, arguments: JSON.stringify(args) },
      })),
    )
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('tool_calls')
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: USAGE })
  })

  test('the client\u2019s own loop of calls runs to its end', async () => {
    const { client } = await setUp(kind, { text: '', calls: CITIES.slice(0, 1) }, { text: 'It rains.' })
    const cities: string[] = []
    const weather = (args: string) => {
      cities.push(args)
      return 'rain'
    }
    const spec = { ...WEATHER.function, parameters: { type: 'object' }, description: 'How it is', function: weather }
    const runner = client.chat.completions.runTools({ ...ASKED, tools: [{ type: 'function', function: spec }] })
    expect(await runner.finalContent()).toBe('It rains.')
    expect(cities).toEqual(['{"city":"Prague"}'])
  })

  test('a tool of Hearth\u2019s is run here, and the client\u2019s call of the same round is passed on', async () => {
    const sums = { name: 'sums', args: { expression: '6*7' } }
    const { client, asked } = await setUp(kind, { text: '', calls: [sums, ...CITIES] }, { text: 'It is 42, and' })
    const { choices } = await client.chat.completions.create(ASKED)
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: 'It is 42, and' } })
    expect(choices[0]?.message.tool_calls).toHaveLength(2)
    expect(JSON.stringify(asked[1]?.['messages'])).toContain('"content":"42"')
  })

  test('what is said before a call is spoken', async () => {
    const { client, spoken } = await setUp(kind, { text: 'One moment, please. ', calls: CITIES })
    const sound = { modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } } as const
    const { choices } = await client.chat.completions.create({ ...ASKED, ...sound, modalities: [...sound.modalities] })
    expect(spoken.join(' ').trim()).toBe('One moment, please.')
    expect(choices[0]?.message.audio?.transcript.trim()).toBe('One moment, please.')
    expect(choices[0]?.message.tool_calls).toHaveLength(2)
  })

  test('a reply that is full says so, and how its words are chosen gets there', async () => {
    const { client, asked } = await setUp(kind, { text: 'One two', reason: 'length' })
    const sampling = { stop: ['.'], top_p: 0.5, seed: 7, presence_penalty: 1, frequency_penalty: -1 }
    const schema = { type: 'object', properties: { a: { type: 'number' } } }
    const { choices } = await client.chat.completions.create({
      model: 'any',
      messages: [QUESTION],
      max_tokens: 2,
      n: 1,
      ...sampling,
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema, strict: true } },
    })
    expect(choices[0]?.finish_reason).toBe('length')
    const format = { type: 'json_schema', json_schema: { name: 'a', schema, strict: true } }
    expect(asked[0]).toMatchObject(
      kind === 'openai'
        ? { ...sampling, max_tokens: 2, response_format: format }
        : { options: { ...sampling, num_predict: 2 }, format: schema },
    )
  })
})

test('the form of JSON without a schema is asked of both kinds of server', async () => {
  const asked = { model: 'any', messages: [QUESTION], response_format: { type: 'json_object' } } as const
  const one = await setUp('openai', { text: '{}' })
  await one.client.chat.completions.create({ ...asked, messages: [QUESTION] })
  const other = await setUp('ollama', { text: '{}' })
  await other.client.chat.completions.create({ ...asked, messages: [QUESTION] })
  expect([one.asked[0]?.['response_format'], other.asked[0]?.['format']]).toEqual([{ type: 'json_object' }, 'json'])
})
