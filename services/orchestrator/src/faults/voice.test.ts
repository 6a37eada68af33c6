/** A turn while the voice is away, slow, or makes no sound (F21). The text is never later than the voice's own limits allow. */
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

const spoken = () => stack.tts.asked.filter(({ path }) => path === '/v1/audio/speech')
const inText = { reply: REPLY, audio: null, degraded: ['tts'] }

async function expectUnharmed(): Promise<void> {
  await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
  const { length } = await stack.history('s1')
  stack.tts.mode = 'ok'
  const good = await stack.ask({ text: 'Hi.' })
  expect(good.body).toMatchObject({ reply: REPLY, degraded: [], audio: { format: 'wav' } })
  expect(await stack.history('s1')).toHaveLength(length + 1)
}

describe('a reply without its voice', () => {
  test.each<[Mode, number]>([
    ['reset', 2],
    [500, 2],
    [503, 2],
    [429, 1],
    ['html', 1],
    ['truncated', 1],
  ])('%s: comes as text, in the history too, after asking %i times', async (mode, times) => {
    const { ask, tts, history } = await setUp()
    tts.mode = mode
    expect(await ask()).toMatchObject({ status: 200, body: inText })
    expect(spoken()).toHaveLength(times)
    expect(await history('s1')).toEqual([{ user: 'My name is Anna.', reply: REPLY }])
    await expectUnharmed()
  })

  test.each<[string, Mode, number]>([
    ['does not begin costs five seconds', 'hang', 5000],
    ['stalls costs the minute of one fragment', 'stall', 60_000],
  ])('a voice that %s, once, whatever the reply’s length', async (_, mode, limitMs) => {
    const { ask, tts } = await setUp()
    tts.mode = mode
    const before = tts.begun()
    const isWaiting = () => (mode === 'hang' ? spoken().length : tts.begun() - before) === 1
    const told = await takesExactly(limitMs, ask(), isWaiting)
    expect(told).toMatchObject({ status: 200, body: inText })
    expect(spoken()).toHaveLength(1)
    await expectUnharmed()
  })

  test('a moment’s trouble before the first byte is not heard at all', async () => {
    const { ask, tts } = await setUp()
    tts.next = ['reset']
    const { body } = await ask()
    expect(body).toMatchObject({ reply: REPLY, degraded: [], audio: { format: 'wav' } })
  })

  test('sound in many small pieces is whole', async () => {
    const { ask, tts } = await setUp()
    tts.mode = 'split'
    const { body } = await ask({}, 'audio/pcm')
    expect(Buffer.from(body['bytes'] as Uint8Array).toString('utf16le')).toBe('Hello there, Anna.How are you?')
  })

  test.each(['audio/wav', 'audio/pcm'])('who asked for %s gets an error, not silence', async (accept) => {
    const { ask, tts } = await setUp()
    tts.mode = 500
    expect(await ask({}, accept)).toMatchObject({ status: 502, code: 'stage_failed', body: { stage: 'tts' } })
    await expectUnharmed()
  })

  test('a chosen voice can’t be looked up in two seconds: the turn goes on as text', async () => {
    const { ask, tts } = await setUp({ isWarm: false })
    tts.mode = 'hang'
    const turn = ask({ voice: 'af_demo' })
    await until(() => tts.asked.length === 1, AbortSignal.timeout(10_000))
    passTime(2000)
    expect(await takesExactly(5000, turn, () => spoken().length === 1)).toMatchObject({ status: 200, body: inText })
    await expectUnharmed()
  })
})

describe('a voice that keeps failing', () => {
  test('is left alone after five failures: turns lose no time, and it is back without one of them asking', async () => {
    const { ask, tts } = await setUp()
    tts.mode = 'hang'
    for (let n = 1; n <= 5; n++) await takesExactly(5000, ask(), () => spoken().length === n)
    for (let n = 0; n < 3; n++) expect(await ask()).toMatchObject({ status: 200, body: inText })
    expect(spoken()).toHaveLength(5)

    passTime(10_000)
    await until(() => spoken().length === 6, AbortSignal.timeout(10_000))
    passTime(5000)
    await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
    // Without words to remember behind the turn, which time would pass by.
    expect(await ask({ remember: false })).toMatchObject({ body: inText })
    await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
    tts.mode = 'ok'
    passTime(10_000)
    await until(() => stack.lines.some(({ msg }) => msg === 'answers again'), AbortSignal.timeout(10_000))
    expect((await ask()).body).toMatchObject({ reply: REPLY, degraded: [], audio: { format: 'wav' } })
  })

  test('that is asked for by name is not looked up either', async () => {
    const { ask, tts } = await setUp({ isWarm: false })
    tts.mode = 500
    for (let n = 0; n < 5; n++) await ask()
    const { length } = tts.asked
    expect(await ask({ voice: 'af_demo' })).toMatchObject({ status: 200, body: inText })
    expect(tts.asked).toHaveLength(length)
  })
})
