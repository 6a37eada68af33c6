import type { ServerResponse } from 'node:http'
import { Secret } from '@hearth/shared/config'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { holdTime, releaseTime, takesExactly } from '../testing/held-time.ts'
import { sendJson, startStub } from '../testing/http-stub.ts'
import type { HttpStub } from '../testing/http-stub.ts'
import type { Prompt, ReplyPiece } from './llm.ts'
import { OpenAiChat } from './openai-chat.ts'
import type { OpenAiChatOptions } from './openai-chat.ts'
import { Timers } from './timers.ts'
import { builtInTools } from './tools.ts'

const PROMPT: Prompt = { instructions: 'Be kind.', history: [], memories: ['My name is Anna.'], user: 'Hi.' }
const live = (): AbortSignal => new AbortController().signal

let stub: HttpStub | undefined
afterEach(() => stub?.close())

type Options = Partial<OpenAiChatOptions>

async function setUp(
  chat: (response: ServerResponse, authorization: string | undefined) => void,
  options: Options = {},
) {
  stub = await startStub((response, _, request) => chat(response, request.headers.authorization))
  const changes: boolean[] = []
  const model = new OpenAiChat({
    url: `${stub.url}/v1`,
    model: 'm',
    stallMs: 60_000,
    totalMs: 60_000,
    restMs: 5000,
    maxTokens: 100,
    log: { info: () => {}, warn: () => {} },
    onChange: (isUsable) => changes.push(isUsable),
    ...options,
  })
  return { model, stub, changes }
}

async function say(model: OpenAiChat, prompt = PROMPT, signal = live()) {
  let said = ''
  let last: ReplyPiece | undefined
  for await (const piece of model.reply(prompt, signal)) {
    said += piece.text
    last = piece
  }
  return { said, last }
}

const event = (body: unknown) => `data: ${JSON.stringify(body)}\n\n`
const delta = (content: string | null, finish: string | null = null) =>
  event({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })
const USAGE = {
  prompt_tokens: 20,
  completion_tokens: 4,
  total_tokens: 24,
  prompt_tokens_details: { cached_tokens: 16 },
}
const COUNTS = { promptTokens: 20, cachedPromptTokens: 16, replyTokens: 4 }
const DONE = 'data: [DONE]\n\n'
const WHOLE = [
  event({ choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] }),
  ': still here\n\n',
  delta('Grüße, '),
  delta('Anna 🎉.'),
  delta(null, 'stop'),
  event({ choices: [], usage: USAGE }),
  DONE,
].join('')

describe('a reply', () => {
  test('comes with its counts, from a prompt that asks for a stream and for them', async () => {
    const { model, stub: server } = await setUp((response) => response.end(WHOLE))
    expect(await say(model)).toEqual({
      said: 'Grüße, Anna 🎉.',
      last: { text: '', model: 'openai/m', usage: COUNTS },
    })
    const [asked] = server.asked
    expect(asked).toMatchObject({ method: 'POST', path: '/v1/chat/completions' })
    const request = JSON.parse(asked?.body ?? '')
    expect(request).toMatchObject({ model: 'm', stream: true, max_tokens: 100 })
    expect(request.stream_options).toEqual({ include_usage: true })
    expect(request).not.toHaveProperty('temperature')
    expect(request.messages[0]).toEqual({ role: 'system', content: 'Be kind.' })
    expect(request.messages.at(-2).content).toMatch(/My name is Anna\./)
  })

  test('keeps to the prompt\u2019s limit and temperature', async () => {
    const { model, stub: server } = await setUp((response) => response.end(WHOLE))
    await say(model, { ...PROMPT, maxTokens: 7, temperature: 0 })
    expect(JSON.parse(server.asked[0]?.body ?? '')).toMatchObject({ max_tokens: 7, temperature: 0 })
  })

  test('sends the key, and none when there is none', async () => {
    const keys: (string | undefined)[] = []
    const chat = (response: ServerResponse, key: string | undefined) => {
      keys.push(key)
      response.end(WHOLE)
    }
    const { model } = await setUp(chat, { apiKey: new Secret('sk-123') })
    await say(model)
    await stub?.close()
    const { model: open } = await setUp(chat)
    await say(open)
    expect(keys).toEqual(['Bearer sk-123', undefined])
  })

  test.each([1, 2, 3, 7])('is the same when it comes in pieces of %i bytes', async (size) => {
    const whole = Buffer.from(WHOLE)
    const { model } = await setUp((response) => {
      response.socket?.setNoDelay(true)
      let at = 0
      const next = (): void => {
        if (at >= whole.length) return void response.end()
        response.write(whole.subarray(at, (at += size)), () => setImmediate(next))
      }
      next()
    })
    expect(await say(model)).toMatchObject({ said: 'Grüße, Anna 🎉.', last: { usage: COUNTS } })
  })

  test('leaves the thoughts out, in whichever form they come', async () => {
    const thought = event({ choices: [{ index: 0, delta: { reasoning_content: 'Hm.' } }] })
    const { model } = await setUp((response) =>
      response.end(thought + delta('<think>Hm.</thi') + delta('nk>Yes.', 'stop') + DONE),
    )
    expect((await say(model)).said).toBe('Yes.')
  })

  test('takes the first of several choices', async () => {
    const other = event({ choices: [{ index: 1, delta: { content: 'No.' } }] })
    const { model } = await setUp((response) => response.end(delta('Yes.') + other + DONE))
    expect((await say(model)).said).toBe('Yes.')
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['only a finish_reason', (response) => response.end(delta('Yes.', 'stop'))],
    ['only [DONE]', (response) => response.end(delta('Yes.') + DONE)],
    ['[DONE] without a line\u2019s end', (response) => response.end(`${delta('Yes.')}data: [DONE]`)],
    ['a connection cut behind its end', (response) => response.write(delta('Yes.', 'stop'), () => response.destroy())],
    ['garbage behind its end', (response) => response.end(`${delta('Yes.', 'stop')}oops\n`)],
    ['silence behind its end', (response) => response.write(delta('Yes.', 'stop'))],
    ['[DONE] and a connection that stays', (response) => response.write(delta('Yes.') + DONE)],
    ['counts that are none', (response) => response.end(event({ choices: [], usage: 'no' }) + delta('Yes.') + DONE)],
  ])('is whole with %s', async (_, chat) => {
    const { model } = await setUp(chat)
    expect(await say(model)).toEqual({ said: 'Yes.', last: { text: '', model: 'openai/m', usage: {} } })
    expect(model.isUsable()).toBe(true)
  })
})

describe('tools', () => {
  const callOf = (part: object) =>
    event({ choices: [{ index: 0, delta: { tool_calls: [part] }, finish_reason: null }] })
  const CALL = [
    callOf({ index: 0, id: 'call_1', function: { name: 'sums', arguments: '' } }),
    callOf({ index: 0, function: { arguments: '{"expression":' } }),
    callOf({ index: 1, id: 'call_2', function: { name: 'nobody', arguments: '{}' } }),
    callOf({ index: 0, function: { arguments: '"6 * 7"}' } }),
    event({ choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] }),
    event({ choices: [], usage: USAGE }),
    DONE,
  ].join('')
  const tools = builtInTools(new Timers())
  const offered = (server: HttpStub) => server.asked.map(({ body }) => 'tools' in JSON.parse(body))

  test('are run as the model asks, and their results are given back to it', async () => {
    let answers = 0
    const { model, stub: server } = await setUp((response) => response.end(answers++ === 0 ? CALL : WHOLE), { tools })
    const { said, last } = await say(model)
    expect(said.trim()).toBe('Grüße, Anna 🎉.')
    expect(last?.usage).toEqual({ promptTokens: 40, cachedPromptTokens: 32, replyTokens: 8 })
    const [first, second] = server.asked.map(({ body }) => JSON.parse(body))
    expect(first.tools.map((one: { function: { name: string } }) => one.function.name)).toEqual([
      'clock',
      'sums',
      'timer',
    ])
    expect(second.messages.slice(0, first.messages.length)).toEqual(first.messages)
    expect(second.messages.slice(first.messages.length)).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'sums', arguments: '{"expression":"6 * 7"}' } },
          { id: 'call_2', type: 'function', function: { name: 'nobody', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_1', content: '42' },
      { role: 'tool', tool_call_id: 'call_2', content: 'error: expected one of clock, sums, timer' },
    ])
  })

  test('are no longer offered to a model that calls them again and again', async () => {
    const { model, stub: server } = await setUp((response) => response.end(CALL), { tools })
    expect((await say(model)).said.trim()).toBe('')
    expect(offered(server)).toEqual([true, true, true, false])
  })

  test('are not offered where there are none, and a call is not heeded', async () => {
    const { model, stub: server } = await setUp((response) => response.end(delta('Yes.') + CALL))
    expect((await say(model)).said).toBe('Yes.')
    expect(offered(server)).toEqual([false])
  })

  test.each([
    ['a call without end', { index: 0, function: { arguments: `"${'x'.repeat(5000)}` } }],
    ['too many calls', { index: 100, function: { name: 'clock' } }],
  ])('%s fails the reply', async (_, part) => {
    const { model } = await setUp((response) => response.end(callOf(part) + DONE), { tools })
    await expect(say(model)).rejects.toMatchObject({ code: 'dependency_unavailable' })
  })
})

describe('functions of the client', () => {
  const weather = { name: 'weather', description: 'How it is', parameters: { type: 'object' } }
  const call = (name: string, index = 0, id = `call_${index}`) => ({
    index,
    id,
    function: { name, arguments: '{"a":1}' },
  })
  const calling = (...calls: object[]) =>
    [
      event({ choices: [{ index: 0, delta: { content: 'Wait. ', tool_calls: calls }, finish_reason: null }] }),
      event({ choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] }),
      DONE,
    ].join('')

  test('are offered, and a call of one ends the reply', async () => {
    const { model, stub: server } = await setUp((response) => response.end(calling(call('weather'))))
    const { said, last } = await say(model, { ...PROMPT, tools: [weather], toolChoice: { name: 'weather' } })
    expect([said, last?.toolCalls]).toEqual(['Wait. ', [{ id: 'call_0', name: 'weather', args: '{"a":1}' }]])
    const { tools, tool_choice } = JSON.parse(server.asked[0]?.body ?? '')
    expect(tools).toEqual([{ type: 'function', function: weather }])
    expect(tool_choice).toEqual({ type: 'function', function: { name: 'weather' } })
  })

  test('that are called together with a tool of Hearth\u2019s wait until that has been run', async () => {
    let answers = 0
    const { model, stub: server } = await setUp(
      (response) =>
        response.end(answers++ === 0 ? calling(call('sums'), call('weather', 1)) : calling(call('weather', 0, 'b'))),
      { tools: builtInTools(new Timers()) },
    )
    const { last } = await say(model, { ...PROMPT, tools: [weather] })
    expect(last?.toolCalls).toEqual([{ id: 'b', name: 'weather', args: '{"a":1}' }])
    const second = JSON.parse(server.asked[1]?.body ?? '')
    const told = second.messages.slice(-2)
    expect(told[0].tool_calls.map((one: { id: string }) => one.id)).toEqual(['call_0'])
    expect(told[1]).toMatchObject({ role: 'tool', tool_call_id: 'call_0' })
  })

  test('that the model does not ask for again once Hearth\u2019s tool has been run are still called', async () => {
    let answers = 0
    const { model } = await setUp(
      (response) => response.end(answers++ === 0 ? calling(call('sums'), call('weather', 1)) : WHOLE),
      { tools: builtInTools(new Timers()) },
    )
    const { said, last } = await say(model, { ...PROMPT, tools: [weather] })
    expect(said).toMatch(/^Wait. +Grüße/)
    expect(last?.toolCalls).toEqual([{ id: 'call_1', name: 'weather', args: '{"a":1}' }])
  })

  test('of the same name as a tool of Hearth\u2019s are meant instead of it', async () => {
    const { model } = await setUp((response) => response.end(calling(call('clock'))), {
      tools: builtInTools(new Timers()),
    })
    expect((await say(model, { ...PROMPT, tools: [{ name: 'clock' }] })).last?.toolCalls).toHaveLength(1)
  })

  test('are told what they gave: calls and results in the server\u2019s shape, those without their counterpart left out', async () => {
    const { model, stub: server } = await setUp((response) => response.end(WHOLE))
    const calls = [{ id: 'a', name: 'weather', args: '{}' }]
    const history = [
      { user: 'Old?', reply: '', calls: [{ id: 'lost', name: 'weather', args: '{}' }] },
      { user: 'How is it?', reply: '', calls },
    ]
    await say(model, { ...PROMPT, history, user: '', results: [{ id: 'a', content: 'Rain.' }] })
    const { messages } = JSON.parse(server.asked[0]?.body ?? '')
    expect(messages.slice(-4)).toEqual([
      { role: 'user', content: 'Old?' },
      { role: 'user', content: 'How is it?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'weather', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'Rain.' },
    ])
  })
})

test('how to choose its words is passed on, and a reply that is full says so', async () => {
  const { model, stub: server } = await setUp((response) => response.end(delta('One', 'length') + DONE))
  const json = { name: 'n', schema: { type: 'object' } }
  const sampling = { topP: 0.5, stop: ['x'], seed: 7, presencePenalty: 1, frequencyPenalty: -1, json }
  expect((await say(model, { ...PROMPT, sampling })).last).toMatchObject({ isFull: true })
  expect(JSON.parse(server.asked[0]?.body ?? '')).toMatchObject({
    top_p: 0.5,
    stop: ['x'],
    seed: 7,
    presence_penalty: 1,
    frequency_penalty: -1,
    response_format: { type: 'json_schema', json_schema: json },
  })
})

test.each([400, 413, 422])('a %d is about this prompt: the server is asked again at once', async (status) => {
  const { model, changes } = await setUp((response) => sendJson(response, { error: { message: 'Hi.' } }, status))
  await expect(say(model)).rejects.toMatchObject({ code: 'invalid_request' })
  expect([model.isUsable(), changes]).toEqual([true, []])
})

describe('a failure', () => {
  test.each<[string, (response: ServerResponse) => void]>([
    ['an error event', (response) => response.end(delta('Hel') + event({ error: { message: 'Hi.', code: 500 } }))],
    ['an error of another form', (response) => response.end(delta('Hel') + event({ object: 'error', message: 'x' }))],
    ['an error for an answer', (response) => sendJson(response, { error: { message: 'Hi.' } })],
    ['a stream that is cut', (response) => response.end(delta('Hel'))],
    ['a connection that is cut', (response) => response.write(delta('Hel'), () => response.destroy())],
    ['an event that is cut', (response) => response.end(`${delta('Hel')}data: {"choi`)],
    ['a line that belongs to no event', (response) => response.end(`${delta('Hel')}oops\n\n${DONE}`)],
    ['data that are no JSON', (response) => response.end(`${delta('Hel')}data: oops\n\n${DONE}`)],
    ['data that are no chunk', (response) => response.end(delta('Hel') + event(['Hi.']) + DONE)],
    ['a web page', (response) => response.end('<html>')],
    ['nothing', (response) => response.end()],
    ['an endless line', (response) => response.end(`data: ${'x'.repeat(300_000)}`)],
    ['an error page', (response) => response.writeHead(500).end('<html>')],
    ['a wrong key', (response) => sendJson(response, { error: { message: 'no' } }, 401)],
    ['a redirection', (response) => response.writeHead(307, { location: '/elsewhere' }).end()],
  ])('%s fails the reply, prints nothing and quotes nothing', async (_, chat) => {
    const prints = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'log'), vi.spyOn(console, 'error')]
    const { model } = await setUp(chat)
    const error: unknown = await say(model).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'dependency_unavailable', retryAfterMs: 1000 })
    expect(String(error)).not.toMatch(/Hi\.|oops|html/)
    for (const print of prints) expect(print).not.toHaveBeenCalled()
    expect(model.isUsable()).toBe(false)
  })

  test('nobody there', async () => {
    const { model, stub: server } = await setUp(() => {})
    await server.close()
    stub = undefined
    await expect(say(model)).rejects.toMatchObject({ code: 'dependency_unavailable' })
  })

  test('too many requests: it says when to ask again', async () => {
    const { model } = await setUp((response) => sendJson(response, {}, 429, { 'retry-after': '7' }))
    await expect(say(model)).rejects.toMatchObject({ code: 'dependency_unavailable', retryAfterMs: 7000 })
  })

  test.each([
    ['7', 7000],
    ['2', 5000],
    ['100000', 600_000],
    ['Thu, 01 Jan 1970 00:01:30 GMT', 30_000],
    ['soon', 5000],
  ])('is left alone for as long as it asks for with retry-after: %s', async (retryAfter, ms) => {
    let now = 0
    const { model } = await setUp((response) => sendJson(response, {}, 429, { 'retry-after': retryAfter }), {
      now: () => now,
      wallClock: () => 60_000,
    })
    await expect(say(model)).rejects.toMatchObject({ code: 'dependency_unavailable' })
    now = ms - 1
    expect(model.isUsable()).toBe(false)
    now = ms
    expect(model.isUsable()).toBe(true)
  })

  test('is left alone for a while, then asked again, and both are told once', async () => {
    let now = 0
    let isBroken = true
    const { model, changes } = await setUp((response) => response.end(isBroken ? 'oops' : WHOLE), { now: () => now })
    await expect(say(model)).rejects.toThrow('no event')
    await expect(say(model)).rejects.toThrow('no event')
    expect(model.status).toMatchObject({ id: 'openai/m', state: 'failed', error: expect.stringMatching(/no event/) })
    now = 5000
    expect(model.isUsable()).toBe(true)
    isBroken = false
    await say(model)
    now = 5001
    expect([model.isUsable(), model.status.state, changes]).toEqual([true, 'ready', [false, true]])
  })

  test('a reply that does not begin in time is given up, and the connection closed', async () => {
    await holdTime()
    onTestFinished(releaseTime)
    const closed = Promise.withResolvers<void>()
    const { model, stub: server } = await setUp((response) => response.on('close', closed.resolve), { stallMs: 10_000 })
    const said = takesExactly(10_000, say(model), () => server.asked.length === 1)
    await expect(said).rejects.toMatchObject({ code: 'deadline_exceeded' })
    await closed.promise
  })

  test.each([{ stallMs: 50 }, { totalMs: 50 }])('one that begins and then stalls is given up by %j', async (limits) => {
    const { model } = await setUp((response) => response.write(delta('Hel')), limits)
    await expect(say(model)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })

  test('comments do not count as a reply', async () => {
    const { model } = await setUp(
      (response) => {
        const beat = (): void => void response.write(': still here\n\n', () => setImmediate(beat))
        beat()
      },
      { stallMs: 50 },
    )
    await expect(say(model)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })

  test('an abort closes the connection and throws its reason; the server is not blamed', async () => {
    const closed = Promise.withResolvers<void>()
    const stop = new AbortController()
    const { model } = await setUp((response) => {
      response.on('close', closed.resolve)
      stop.abort(new Error('left'))
    })
    await expect(say(model, PROMPT, stop.signal)).rejects.toThrow('left')
    await closed.promise
    expect(model.isUsable()).toBe(true)
  })

  test('a reader who leaves closes the connection', async () => {
    const closed = Promise.withResolvers<void>()
    const { model } = await setUp((response) => {
      response.on('close', closed.resolve)
      response.write(delta('Hel'))
    })
    for await (const _ of model.reply(PROMPT, live())) break
    await expect(closed.promise).resolves.toBeUndefined()
  })
})
