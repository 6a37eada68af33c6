/** A turn while the embeddings service, and with it memory, is away or slow (F14, F23). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { REPLY, startFaultStack } from '../testing/fault-stack.ts'
import type { FaultStack, FaultStackOptions } from '../testing/fault-stack.ts'
import type { Mode } from '../testing/faulty-server.ts'
import { holdTime, passTime, releaseTime, takesExactly } from '../testing/held-time.ts'
import { until } from '../testing/redis-server.ts'

let stack: FaultStack
beforeEach(holdTime)
afterEach(() => stack.close().then(releaseTime))

async function setUp(options: FaultStackOptions = {}): Promise<FaultStack> {
  stack = await startFaultStack(options)
  return stack
}

const forgetful = { reply: REPLY, degraded: ['memory'], audio: { format: 'wav' } }
/** What the language model was told of the past in the last turn. */
const lastPrompt = () => stack.ollama.asked.at(-1)?.body ?? ''

/** Five seconds after the service is back, everything is remembered. */
async function backAndReplayed(): Promise<void> {
  stack.embeddings.mode = 'ok'
  passTime(5000)
  await until(() => stack.lines.some(({ msg }) => msg === 'what was kept is remembered'), AbortSignal.timeout(10_000))
}

describe('a turn without its memory', () => {
  test.each<[Mode, number]>([
    ['reset', 2],
    [500, 2],
    [503, 2],
    [429, 1],
    ['html', 1],
    ['truncated', 1],
  ])('%s: is answered, says so, and what it said is remembered later', async (mode, times) => {
    const { ask, embeddings, history } = await setUp()
    embeddings.mode = mode
    expect(await ask()).toMatchObject({ status: 200, body: forgetful })
    expect(embeddings.asked).toHaveLength(times)
    expect(await history('s1')).toEqual([{ user: 'My name is Anna.', reply: REPLY }])
    await backAndReplayed()
    expect(await ask({ text: 'Hi.', session: 's2' })).toMatchObject({ status: 200, body: { degraded: [] } })
    expect(lastPrompt()).toContain('My name is Anna.')
    await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
  })

  test.each<Mode>(['hang', 'stall'])('%s: loses 300 ms, and none for remembering', async (mode) => {
    const { ask, embeddings } = await setUp()
    embeddings.mode = mode
    const told = await takesExactly(300, ask(), () => embeddings.asked.length === 1)
    expect(told).toMatchObject({ status: 200, body: forgetful })
    expect(embeddings.asked).toHaveLength(1)
    await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
  })

  test('a memory that finds and then can’t store costs the turn nothing, and stores later', async () => {
    const { ask, embeddings } = await setUp()
    embeddings.next = ['ok', 'hang']
    expect(await ask()).toMatchObject({ status: 200, body: { degraded: [] } })
    await until(() => embeddings.open() === 1, AbortSignal.timeout(10_000))
    passTime(5000)
    await until(() => embeddings.open() === 0, AbortSignal.timeout(10_000))
    await backAndReplayed()
    await ask({ text: 'Hi.' })
    expect(lastPrompt()).toContain('My name is Anna.')
  })

  test('a moment’s trouble before the first byte is not noticed', async () => {
    const { ask, embeddings } = await setUp()
    embeddings.next = ['reset']
    expect((await ask()).body).toMatchObject({ degraded: [] })
  })

  test('vectors in many small pieces are whole', async () => {
    const { ask, embeddings } = await setUp()
    embeddings.mode = 'split'
    expect((await ask()).body).toMatchObject({ degraded: [] })
  })

  test.each([{ text: 'What time is it?' }, { remember: false }])('%j: keeps nothing for later', async (fields) => {
    const { ask, embeddings } = await setUp()
    embeddings.mode = 500
    await ask(fields)
    const { length } = embeddings.asked
    passTime(60_000)
    await ask({ text: 'Hi.' })
    expect(embeddings.asked).toHaveLength(length + 2)
  })
})

describe('a memory that keeps failing', () => {
  test('is left alone after five turns: the others lose no time, and all are remembered once it is back', async () => {
    const { ask, embeddings } = await setUp()
    embeddings.mode = 'hang'
    const say = (n: number) => ask({ text: `My lucky word number ${n} is canary${n}.`, session: `s${n}` })
    for (let n = 0; n < 5; n++) await takesExactly(300, say(n), () => embeddings.asked.length === n + 1)
    for (let n = 5; n < 9; n++) expect(await say(n)).toMatchObject({ status: 200, body: forgetful })
    expect(embeddings.asked).toHaveLength(5)
    await until(() => stack.open() === 0, AbortSignal.timeout(10_000))

    passTime(5000)
    await until(() => embeddings.open() === 1, AbortSignal.timeout(10_000))
    passTime(300)
    await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
    expect(embeddings.asked).toHaveLength(6)
    expect(await ask({ text: 'Hi.', session: 'other' })).toMatchObject({ body: { degraded: ['memory'] } })
    await backAndReplayed()
    expect(await ask({ text: 'Hi.', session: 'other' })).toMatchObject({ body: { degraded: [] } })
    const kept = await (await fetch(`${stack.base}/memories`)).text()
    for (let n = 0; n < 9; n++) expect(kept).toContain(`canary${n}`)
  })

  test('keeps each user’s words with their user', async () => {
    const { ask, embeddings } = await setUp()
    embeddings.mode = 500
    await ask({ text: 'My secret word is canary1.', user: 'anna' })
    await ask({ text: 'My secret word is canary2.', user: 'bob', session: 's2' })
    await backAndReplayed()
    await ask({ text: 'Hi.', user: 'anna', session: 's3' })
    expect(lastPrompt()).toContain('canary1')
    expect(lastPrompt()).not.toContain('canary2')
    await ask({ text: 'Hi.', user: 'eve', session: 's4' })
    expect(lastPrompt()).not.toContain('canary')
  })

  test('what is said while older words still wait comes behind them', async () => {
    const { ask, embeddings } = await setUp()
    embeddings.mode = 500
    await ask({ text: 'My name is Anna.' })
    embeddings.mode = 'ok'
    await ask({ text: 'My name is Ann.' })
    await backAndReplayed()
    await ask({ text: 'What is my name?', session: 's2' })
    expect(lastPrompt()).toContain('My name is Ann.')
    expect(lastPrompt()).not.toContain('My name is Anna.')
  })
})
