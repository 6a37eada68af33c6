/** A turn while the language model is away, slow, or talks nonsense (F17 to F20). */
import { afterEach, describe, expect, test } from 'vitest'
import { REPLY, startFaultStack } from '../testing/fault-stack.ts'
import type { FaultStack, FaultStackOptions } from '../testing/fault-stack.ts'
import type { Good, Mode } from '../testing/faulty-server.ts'
import { until } from '../testing/redis-server.ts'

let stack: FaultStack
afterEach(() => stack.close())

async function setUp(options: FaultStackOptions = {}): Promise<FaultStack> {
  stack = await startFaultStack(options)
  await look()
  return stack
}

/** A look at Ollama, as it comes every few seconds, and the end of what follows from it. */
async function look(): Promise<void> {
  await stack.ollamaModel.watch()
  while (stack.ollamaModel.status.state === 'loading') await new Promise((resolve) => setImmediate(resolve))
}

const chats = () => stack.ollama.asked.filter(({ body }) => body.includes('My name is'))
const line = (content: string, done = false) => `${JSON.stringify({ message: { role: 'assistant', content }, done })}\n`
const answer = (text: string): Good => ({ type: 'application/x-ndjson', body: Buffer.from(text) })

/** Everything was given back: no call is open, and the next turn of the same session is whole, with only `history` before it. */
async function expectUnharmed(signal: AbortSignal, history: unknown[] = []): Promise<void> {
  await until(() => stack.open() === 0, signal)
  expect(await stack.history('s1')).toEqual(history)
  stack.ollama.mode = 'ok'
  await look()
  const good = await stack.ask({ text: 'Hi.' })
  expect([good.status, good.body]).toMatchObject([200, { reply: REPLY, degraded: [] }])
  expect(good.body).not.toHaveProperty('incomplete')
  expect(await stack.history('s1')).toEqual([...history, { user: 'Hi.', reply: REPLY }])
}

describe('before the first word', () => {
  test.each<[Mode, number, string, number]>([
    ['reset', 503, 'dependency_unavailable', 2],
    [500, 503, 'dependency_unavailable', 2],
    [503, 503, 'dependency_unavailable', 2],
    [429, 503, 'dependency_unavailable', 1],
    ['html', 503, 'dependency_unavailable', 1],
  ])('%s is answered %i %s after asking %i times, and when to come back', async (mode, status, code, times) => {
    const { ask, ollama } = await setUp()
    ollama.mode = mode
    const told = await ask()
    expect([told.status, told.code, told.body['stage']]).toEqual([status, code, 'llm'])
    expect(told.headers.get('retry-after')).toBe('1')
    expect(chats()).toHaveLength(times)
    await expectUnharmed(AbortSignal.timeout(10_000))
  })

  test.each<Mode>(['hang', 'stall'])('%s ends with 504 at the limit of one wait, and is asked once', async (mode) => {
    const { ask, ollama, open } = await setUp({ env: { OLLAMA_STALL_MS: '40' } })
    ollama.mode = mode
    ollama.good = () => answer(line(''))
    const told = await ask()
    expect([told.status, told.code, told.body['stage']]).toEqual([504, 'deadline_exceeded', 'llm'])
    expect(stack.warnings()).toContain('no answer within 40 ms')
    expect(chats()).toHaveLength(1)
    await until(() => open() === 0, AbortSignal.timeout(10_000))
  })

  test('a full queue that has room a moment later costs the turn nothing', async () => {
    const { ask, ollama } = await setUp()
    ollama.next = [503]
    expect((await ask()).body).toMatchObject({ reply: REPLY, degraded: [] })
    expect(chats()).toHaveLength(2)
  })
})

describe('an Ollama that is gone', () => {
  test('is 503 at once, and after five failures it is not even asked', async () => {
    const { ask, ollama } = await setUp()
    await ollama.close()
    for (let n = 0; n < 7; n++) expect((await ask()).status).toBe(503)
    const failures = stack.lines.filter(({ msg }) => msg === 'request failed').map(({ err }) => JSON.stringify(err))
    expect(failures.map((text) => /refused|does not answer|not there/.test(text))).toEqual([
      ...Array.from({ length: 5 }, () => true),
      false,
      false,
    ])
    expect(await stack.history('s1')).toEqual([])
  })

  test('that takes connections and never answers costs no turn more than a short look', async () => {
    const { ask, ollama } = await setUp()
    ollama.calm = () => {}
    await look()
    expect(stack.ollamaModel.status.error).toBe('ollama is absent')
    expect((await ask()).status).toBe(503)
    expect(chats()).toEqual([])
  })

  test('that has failed five times is asked again after the first look that finds it', async () => {
    const { ask, ollama } = await setUp()
    ollama.mode = 429
    for (let n = 0; n < 6; n++) expect((await ask()).status).toBe(503)
    expect(chats()).toHaveLength(5)
    await expectUnharmed(AbortSignal.timeout(10_000))
  })
})

describe('after the first words', () => {
  const half = line('Hello there, ')
  test.each<[string, Good, Mode]>([
    ['a line that is no JSON', answer(`${half}oops\n${line('', true)}`), 'ok'],
    ['an error line', answer(`${half}{"error":"out of memory"}\n`), 'ok'],
    ['an end without an end', answer(half), 'ok'],
    ['a cut connection', answer(half + half.replaceAll(/\S/g, ' ')), 'truncated'],
  ])('%s ends the turn with what was said, marked, and not in the history', async (_, good, mode) => {
    const { ask, ollama } = await setUp()
    const { good: whole } = ollama
    ollama.good = () => good
    ollama.mode = mode
    const told = await ask()
    expect([told.status, told.body]).toMatchObject([200, { incomplete: true, degraded: [] }])
    expect(String(told.body['reply']).trim()).toBe('Hello there,')
    expect(chats()).toHaveLength(1)
    ollama.good = whole
    await expectUnharmed(AbortSignal.timeout(10_000))
  })

  test.each([{ OLLAMA_STALL_MS: '40' }, { OLLAMA_TOTAL_MS: '40' }])('a stall ends it at %j', async (env) => {
    const { ask, ollama } = await setUp({ env })
    ollama.good = () => answer(half + half.replaceAll(/\S/g, ' '))
    ollama.mode = 'stall'
    const told = await ask()
    expect([told.status, told.body]).toMatchObject([200, { incomplete: true, degraded: [] }])
    await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
    expect(await stack.history('s1')).toEqual([])
  })

  test('a stream of events says so in done', async () => {
    const { base, ollama } = await setUp()
    ollama.good = () => answer(half)
    const response = await fetch(`${base}/generate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: '{"text":"My name is Anna."}',
    })
    expect(await response.text()).toMatch(/event: done\ndata: \{.*"incomplete":true.*\}\n\n$/)
  })

  test('bytes that come one by one are a whole reply', async () => {
    const { ask, ollama } = await setUp()
    ollama.mode = 'split'
    const { body } = await ask()
    expect(body).toMatchObject({ reply: REPLY, degraded: [] })
    expect(body).not.toHaveProperty('incomplete')
  })
})
