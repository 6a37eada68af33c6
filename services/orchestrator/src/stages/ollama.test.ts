import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { holdTime, releaseTime, takesExactly } from '../testing/held-time.ts'
import { sendJson, startStub } from '../testing/http-stub.ts'
import type { Answer, HttpStub } from '../testing/http-stub.ts'
import { OllamaModel } from './ollama.ts'
import type { OllamaOptions } from './ollama.ts'
import type { Prompt, ReplyPiece } from './llm.ts'
import { Timers } from './timers.ts'
import { builtInTools } from './tools.ts'

const PROMPT: Prompt = { instructions: 'Be kind.', history: [], memories: ['My name is Anna.'], user: 'Hi.' }
const live = (): AbortSignal => new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))

let stub: HttpStub | undefined
let model: OllamaModel | undefined
afterEach(async () => {
  await model?.close()
  await stub?.close()
})

const line = (content: string, done = false) =>
  `${JSON.stringify({ model: 'm', message: { role: 'assistant', content }, done })}\n`

/** A server that has the model and answers chats with `chat`; the empty chat that loads the model always works. */
async function setUp(
  chat: (response: ServerResponse) => void,
  options: Partial<OllamaOptions> = {},
  names = ['llama3.2:3b'],
) {
  const answer: Answer = (response, { path, body }) => {
    if (path === '/api/tags') return sendJson(response, { models: names.map((name) => ({ name })) })
    if (body.includes('"messages":[]')) return sendJson(response, { done: true, done_reason: 'load' })
    chat(response)
  }
  stub = await startStub(answer)
  const changes: boolean[] = []
  model = new OllamaModel({
    url: stub.url,
    model: 'llama3.2:3b',
    stallMs: 60_000,
    totalMs: 60_000,
    probeMs: 60_000,
    probeEveryMs: 60_000,
    loadMs: 60_000,
    maxTokens: 100,
    log: { info: () => {}, warn: () => {} },
    onChange: (isUsable) => changes.push(isUsable),
    ...options,
  })
  return { model, stub, changes }
}

async function say(ollama: OllamaModel, signal = live()): Promise<string> {
  let said = ''
  for await (const { text } of ollama.reply(PROMPT, signal)) said += text
  return said
}

const good = (response: ServerResponse) => response.end(line('Hello, ') + line('Anna.') + line('', true))

describe('looking for Ollama', () => {
  test('finds the model, loads it, and is ready', async () => {
    const { model: ollama, stub: server, changes } = await setUp(good)
    expect(ollama.isUsable()).toBe(false)
    await ollama.watch()
    while (ollama.status.state !== 'ready') await settled()
    expect(server.asked.map(({ path }) => path)).toEqual(['/api/tags', '/api/chat'])
    expect(JSON.parse(server.asked[1]?.body ?? '')).toMatchObject({ messages: [], keep_alive: -1 })
    expect(changes).toEqual([true, true])
    expect(ollama.status).toMatchObject({ id: 'ollama/llama3.2:3b', source: null, state: 'ready' })
  })

  test('is not usable without the model', async () => {
    const { model: ollama, changes } = await setUp(good, {}, ['other:1b'])
    await ollama.watch()
    expect([ollama.isUsable(), changes]).toEqual([false, [false]])
    expect(ollama.status).toMatchObject({ state: 'failed', error: 'ollama is no model' })
  })

  test('has the system text read before it is ready, so that no turn waits for that', async () => {
    const { model: ollama, stub: server } = await setUp((response) => sendJson(response, { done: true }), {
      instructions: 'Be kind.',
    })
    await ollama.watch()
    while (ollama.status.state !== 'ready') await settled()
    expect(server.asked.map(({ path }) => path)).toEqual(['/api/tags', '/api/chat', '/api/chat'])
    expect(JSON.parse(server.asked[2]?.body ?? '')).toMatchObject({
      messages: [{ role: 'system', content: 'Be kind.' }],
      options: { num_predict: 1 },
      keep_alive: -1,
    })
  })

  test('takes a name without a tag as the latest', async () => {
    const { model: ollama } = await setUp(good, { model: 'llama3.2' }, ['llama3.2:latest'])
    await ollama.watch()
    expect(ollama.isUsable()).toBe(true)
  })

  test('nobody there is no error, and is told once', async () => {
    const { model: ollama, stub: server, changes } = await setUp(good)
    await server.close()
    stub = undefined
    await ollama.watch()
    await ollama.watch()
    expect([ollama.isUsable(), changes]).toEqual([false, [false]])
  })
})

describe('a reply', () => {
  test('comes piece by piece, from a prompt with the memory among the user\u2019s words and options that never change', async () => {
    const { model: ollama, stub: server } = await setUp(good)
    expect(await say(ollama)).toBe('Hello, Anna.')
    const request = JSON.parse(server.asked[0]?.body ?? '')
    expect(request).toMatchObject({ model: 'llama3.2:3b', stream: true, keep_alive: -1, options: { num_predict: 100 } })
    expect(request.messages[0]).toEqual({ role: 'system', content: 'Be kind.' })
    expect(request.messages.at(-2)).toMatchObject({ role: 'user', content: expect.stringMatching(/My name is Anna\./) })
  })

  test('keeps to the prompt\u2019s limit and temperature', async () => {
    const { model: ollama, stub: server } = await setUp(good)
    for await (const _ of ollama.reply({ ...PROMPT, maxTokens: 7, temperature: 0 }, live()));
    expect(JSON.parse(server.asked[0]?.body ?? '').options).toEqual({ num_predict: 7, temperature: 0 })
  })

  test('ends with what it took', async () => {
    const last = { message: { role: 'assistant', content: '' }, done: true }
    const counts = { prompt_eval_count: 20, prompt_eval_cached_count: 16, eval_count: 4, eval_duration: 2e8 }
    const { model: ollama } = await setUp((response) =>
      response.end(`${line('Hello.')}${JSON.stringify({ ...last, ...counts })}\n`),
    )
    const pieces: ReplyPiece[] = []
    for await (const piece of ollama.reply(PROMPT, live())) pieces.push(piece)
    const usage = { promptTokens: 20, cachedPromptTokens: 16, replyTokens: 4, perTokenMs: 50 }
    expect(pieces.at(-1)).toEqual({ text: '', model: 'ollama/llama3.2:3b', usage })
  })

  test('runs the tools that the model calls, a few times at most', async () => {
    const tool_calls = [{ function: { name: 'sums', arguments: { expression: '6 * 7' } } }]
    const call = `${JSON.stringify({ message: { role: 'assistant', content: '', tool_calls }, done: true, eval_count: 5 })}\n`
    let calls = 1
    const end = `${JSON.stringify({ message: { role: 'assistant', content: 'It is 42.' }, done: true, eval_count: 4 })}\n`
    const chat = (response: ServerResponse) => response.end(calls-- > 0 ? call : end)
    const { model: ollama, stub: server } = await setUp(chat, { tools: builtInTools(new Timers()) })
    const pieces: ReplyPiece[] = []
    for await (const piece of ollama.reply(PROMPT, live())) pieces.push(piece)
    expect(pieces.map(({ text }) => text.trim()).join('')).toBe('It is 42.')
    expect(pieces.at(-1)?.usage).toEqual({ replyTokens: 9 })
    const [first, second] = server.asked.map(({ body }) => JSON.parse(body))
    expect(first.tools).toHaveLength(3)
    expect(second.messages.slice(first.messages.length)).toEqual([
      { role: 'assistant', content: '', tool_calls },
      { role: 'tool', tool_name: 'sums', content: '42' },
    ])
    calls = 100
    expect((await say(ollama)).trim()).toBe('')
    expect(server.asked.slice(2).map(({ body }) => 'tools' in JSON.parse(body))).toEqual([true, true, true, false])
  })

  test('passes a call of the client\u2019s function on, and its result back, in Ollama\u2019s shape', async () => {
    const weather = { function: { name: 'weather', arguments: { city: 'Prague' } } }
    const message = { role: 'assistant', content: 'One moment.', tool_calls: [weather] }
    const { model: ollama, stub: server } = await setUp((response) =>
      response.end(`${JSON.stringify({ message, done: true, done_reason: 'stop' })}\n`),
    )
    const tools = [{ name: 'weather', parameters: { type: 'object' } }]
    const pieces: ReplyPiece[] = []
    for await (const piece of ollama.reply({ ...PROMPT, tools }, live())) pieces.push(piece)
    const calls = pieces.at(-1)?.toolCalls ?? []
    expect(calls).toEqual([{ id: expect.stringMatching(/^call_/), name: 'weather', args: '{"city":"Prague"}' }])
    const history = [{ user: 'How is it?', reply: 'One moment.', calls }]
    const results = calls.map(({ id }) => ({ id, content: 'It rains.' }))
    for await (const _ of ollama.reply({ ...PROMPT, tools, history, user: '', results }, live()));
    expect(JSON.parse(server.asked.at(-1)?.body ?? '').messages.slice(-3)).toEqual([
      { role: 'user', content: 'How is it?' },
      { role: 'assistant', content: 'One moment.', tool_calls: [weather] },
      { role: 'tool', tool_name: 'weather', content: 'It rains.' },
    ])
  })

  test('is told how to choose its words, and says when it has said all it may', async () => {
    const last = { message: { role: 'assistant', content: 'One' }, done: true, done_reason: 'length' }
    const { model: ollama, stub: server } = await setUp((response) => response.end(`${JSON.stringify(last)}\n`))
    const schema = { type: 'object' }
    const sampling = { topP: 0.5, stop: ['x'], seed: 7, presencePenalty: 1, json: { name: 'n', schema } }
    const pieces: ReplyPiece[] = []
    for await (const piece of ollama.reply({ ...PROMPT, sampling }, live())) pieces.push(piece)
    expect(pieces.at(-1)).toMatchObject({ isFull: true })
    const { options, format } = JSON.parse(server.asked[0]?.body ?? '')
    expect(options).toMatchObject({ top_p: 0.5, stop: ['x'], seed: 7, presence_penalty: 1 })
    expect(format).toEqual(schema)
    expect(ollama.ignores({ ...PROMPT, toolChoice: 'required' })).toEqual(['tool_choice'])
  })

  test('leaves the thoughts out', async () => {
    const { model: ollama } = await setUp((response) => response.end(line('<think>Hm.</think>Yes.') + line('', true)))
    expect(await say(ollama)).toBe('Yes.')
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['an error line', (response) => response.end(line('Hel') + '{"error":"out of memory"}\n')],
    ['a stream that is cut', (response) => response.end(line('Hel'))],
    ['a connection that is cut', (response) => response.write(line('Hel'), () => response.destroy())],
    ['a line that is no JSON', (response) => response.end(line('Hel') + 'oops\n' + line('', true))],
    ['a web page', (response) => response.end('<html>')],
    ['an error page', (response) => response.writeHead(500).end('<html>')],
    ['a model that is not there', (response) => sendJson(response, { error: 'model not found' }, 404)],
    ['too much to do', (response) => sendJson(response, { error: 'server busy' }, 503)],
    ['an endless line', (response) => response.end('x'.repeat(300_000))],
  ])('%s fails it, prints nothing, and Ollama has to prove itself again', async (_, chat) => {
    const prints = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'log'), vi.spyOn(console, 'error')]
    const { model: ollama } = await setUp(chat)
    await ollama.watch()
    await expect(say(ollama)).rejects.toMatchObject({ code: 'dependency_unavailable' })
    for (const print of prints) expect(print).not.toHaveBeenCalled()
    expect(ollama.isUsable()).toBe(false)
    await ollama.watch()
    while (!ollama.isUsable()) await settled()
  })

  test.each([400, 413, 422])('a %d is about this prompt: Ollama is asked again at once', async (status) => {
    const { model: ollama } = await setUp((response) => sendJson(response, { error: 'knows no tools' }, status))
    await ollama.watch()
    while (ollama.status.state !== 'ready') await settled()
    await expect(say(ollama)).rejects.toMatchObject({ code: 'invalid_request' })
    expect(ollama.status.state).toBe('ready')
  })

  test('that does not begin in time is given up, and the connection closed', async () => {
    await holdTime()
    onTestFinished(releaseTime)
    const [asked, closed] = [vi.fn<() => void>(), Promise.withResolvers<void>()]
    const chat = (response: ServerResponse) => {
      asked()
      response.on('close', closed.resolve)
    }
    const { model: ollama } = await setUp(chat, { stallMs: 10_000 })
    const said = takesExactly(10_000, say(ollama), () => asked.mock.calls.length === 1)
    await expect(said).rejects.toMatchObject({ code: 'deadline_exceeded' })
    await closed.promise
  })

  test.each([{ stallMs: 50 }, { totalMs: 50 }])('that begins and then stalls is given up by %j', async (limits) => {
    const { model: ollama } = await setUp((response) => response.write(line('Hel')), limits)
    await expect(say(ollama)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })

  test('the time that the reader takes is not counted', async () => {
    let now = 0
    const rest = Promise.withResolvers<void>()
    const chat = (response: ServerResponse) => {
      response.write(line('Hello, ') + line('Anna.'))
      void rest.promise.then(() => response.end(line('', true)))
    }
    const { model: ollama } = await setUp(chat, { now: () => now })
    const pieces = ollama.reply(PROMPT, live())
    expect((await pieces.next()).value?.text).toBe('Hello, ')
    now += 3_600_000
    expect((await pieces.next()).value?.text).toBe('Anna.')
    const end = (async () => {
      for await (const piece of pieces) if (piece.text !== '') return 'more'
      return 'ended'
    })()
    const until = performance.now() + 20
    while (performance.now() < until) await settled()
    rest.resolve()
    expect(await end).toBe('ended')
  })

  test('an abort closes the connection and throws its reason; Ollama is not blamed', async () => {
    const closed = Promise.withResolvers<void>()
    const stop = new AbortController()
    const { model: ollama } = await setUp((response) => {
      response.on('close', closed.resolve)
      stop.abort(new Error('left'))
    })
    await ollama.watch()
    await expect(say(ollama, stop.signal)).rejects.toThrow('left')
    await closed.promise
    expect(ollama.isUsable()).toBe(true)
  })

  test('a reader who leaves closes the connection', async () => {
    const closed = Promise.withResolvers<void>()
    const { model: ollama } = await setUp((response) => {
      response.on('close', closed.resolve)
      response.write(line('Hel'))
    })
    for await (const _ of ollama.reply(PROMPT, live())) break
    await expect(closed.promise).resolves.toBeUndefined()
  })
})
