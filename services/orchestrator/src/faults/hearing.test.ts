/** A spoken turn while the stt service, asked without a queue, is away or slow (F22). Without ears there is no turn. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { REPLY, startFaultStack } from '../testing/fault-stack.ts'
import type { FaultStack, FaultStackOptions } from '../testing/fault-stack.ts'
import type { Mode } from '../testing/faulty-server.ts'
import { sendJson } from '../testing/http-stub.ts'
import { wavSaying } from '../testing/job-setup.ts'
import { holdTime, releaseTime, takesExactly } from '../testing/held-time.ts'
import { until } from '../testing/redis-server.ts'

let stack: FaultStack
beforeEach(holdTime)
afterEach(() => stack.close().then(releaseTime))

async function setUp(options: FaultStackOptions = {}): Promise<FaultStack> {
  stack = await startFaultStack(options)
  return stack
}

const spoken = { file: wavSaying('My name is Anna'), session: 's1' }

async function expectUnharmed(): Promise<void> {
  await until(() => stack.open() === 0, AbortSignal.timeout(10_000))
  expect(await stack.history('s1')).toEqual([])
  expect(stack.ollama.asked).toEqual([])
  expect(stack.embeddings.asked).toEqual([])
  stack.stt.mode = 'ok'
  const good = await stack.ask(spoken)
  expect(good).toMatchObject({ status: 200, body: { transcript: 'My name is Anna', reply: REPLY, degraded: [] } })
  expect(await stack.history('s1')).toHaveLength(1)
}

test.each<[Mode, number]>([
  ['reset', 2],
  [500, 2],
  [503, 2],
  [429, 1],
  ['html', 1],
  ['truncated', 1],
])('%s ends the turn with 502 and the stage’s name after asking %i times', async (mode, times) => {
  const { ask, stt } = await setUp()
  stt.mode = mode
  expect(await ask(spoken)).toMatchObject({ status: 502, code: 'stage_failed', body: { stage: 'stt' } })
  expect(stt.asked).toHaveLength(times)
  await expectUnharmed()
})

test.each<Mode>(['hang', 'stall'])('%s ends it at the limit of the stage', async (mode) => {
  const { ask, stt } = await setUp()
  stt.mode = mode
  const told = await takesExactly(150_000, ask(spoken), () => stt.asked.length === 1)
  expect(told).toMatchObject({ status: 502, code: 'stage_failed', body: { stage: 'stt' } })
  await expectUnharmed()
})

test.each([
  [429, 'overloaded'],
  [503, 'model_loading'],
] as const)('its own %i %s is the answer, with its own time to come back, and asked once', async (status, code) => {
  const { ask, stt } = await setUp()
  const body = { error: { message: 'no', type: 'x', param: null, code } }
  stt.isCalm = () => true
  stt.calm = (response) => sendJson(response, body, status, { 'retry-after': '3', 'retry-after-ms': '2500' })
  const told = await ask(spoken)
  expect(told).toMatchObject({ status, code })
  expect(told.headers.get('retry-after-ms')).toBe('2500')
  expect(stt.asked).toHaveLength(1)
})

test('a moment’s trouble before the first byte is not noticed', async () => {
  const { ask, stt } = await setUp()
  stt.next = ['reset']
  expect(await ask(spoken)).toMatchObject({ status: 200, body: { transcript: 'My name is Anna', degraded: [] } })
  expect(stt.asked.map(({ body }) => body.includes('<My name is Anna>'))).toEqual([true, true])
})

test('typed turns are answered while nobody can hear', async () => {
  const { ask, stt } = await setUp()
  await stt.close()
  expect(await ask(spoken)).toMatchObject({ status: 502 })
  expect(await ask()).toMatchObject({ status: 200, body: { reply: REPLY, degraded: [] } })
})
