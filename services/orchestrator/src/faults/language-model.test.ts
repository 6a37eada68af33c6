/** A turn while the language model is away, slow, or talks nonsense (F17 to F20). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { REPLY, startFaultStack } from '../testing/fault-stack.ts'
import type { FaultStack, FaultStackOptions } from '../testing/fault-stack.ts'
import type { Good, Mode } from '../testing/faulty-server.ts'
import { holdTime, releaseTime, takesExactly } from '../testing/held-time.ts'
import { until } from '../testing/redis-server.ts'

let stack: FaultStack
beforeEach(holdTime)
afterEach(() => stack.close().then(releaseTime))

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

/** Everything was given back: no call is open, and the next turn of the same session is whole. */
async function expectUnharmed(): Promise<void> {
  await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
  expect(await stack.history('s1')).toEqual([])
  stack.ollama.mode = 'ok'
  await look()
  const good = await stack.ask({ text: 'Hi.' })
  expect([good.status, good.body]).toMatchObject([200, { reply: REPLY, degraded: [] }])
  expect(good.body).not.toHaveProperty('incomplete')
  expect(await stack.history('s1')).toEqual([{ user: 'Hi.', reply: REPLY }])
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
    await expectUnharmed()
  })

  test.each<Mode>(['hang', 'stall'])('%s ends with 504 after the ten seconds of one wait', async (mode) => {
    const { ask, ollama } = await setUp()
    const { good } = ollama
    ollama.mode = mode
    ollama.good = () => answer(line(''))
    const isAsked = () =>
      mode === 'hang' ? chats().length === 1 : ollama.begun() === ollama.asked.length && chats().length === 1
    const told = await takesExactly(10_000, ask(), isAsked)
    expect([told.status, told.code, told.body['stage']]).toEqual([504, 'deadline_exceeded', 'llm'])
    expect(chats()).toHaveLength(1)
    ollama.good = good
    await expectUnharmed()
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

  test('that takes connections and never answers costs no turn more than the two seconds of a look', async () => {
    const { ask, ollama } = await setUp()
    ollama.calm = () => {}
    const looks = () => ollama.asked.filter(({ path }) => path === '/api/tags').length
    await takesExactly(2000, look(), () => looks() === 2)
    expect(stack.ollamaModel.status.error).toBe('ollama is absent')
    for (const seen of [3, 4]) {
      const told = await takesExactly(2000, ask(), () => looks() === seen)
      expect([told.status, told.code]).toEqual([503, 'dependency_unavailable'])
    }
    expect(chats()).toEqual([])
  })

  test('that has failed five times is asked again after the first look that finds it', async () => {
    const { ask, ollama } = await setUp()
    ollama.mode = 429
    for (let n = 0; n < 6; n++) expect((await ask()).status).toBe(503)
    expect(chats()).toHaveLength(5)
    await expectUnharmed()
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
    await expectUnharmed()
  })

  test('a stall ends it after the ten seconds of one wait', async () => {
    const { ask, ollama } = await setUp()
    const { good } = ollama
    const words = line('One two three four. ')
    ollama.good = () => answer(words + words.replaceAll(/\S/g, ' '))
    ollama.mode = 'stall'
    const told = await takesExactly(10_000, ask(), () => stack.tts.asked.length === 1 && stack.tts.open() === 0)
    expect([told.status, told.body]).toMatchObject([200, { incomplete: true, degraded: [] }])
    ollama.good = good
    await expectUnharmed()
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
