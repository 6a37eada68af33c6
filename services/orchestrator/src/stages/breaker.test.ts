import { AppError } from '@hearth/shared/errors'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Breaker } from './breaker.ts'

const live = new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))
const away = new AppError('stage_failed', 'away')
const fail = (error: unknown = away) => Promise.reject(error)

let breaker: Breaker
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => {
  breaker.close()
  vi.useRealTimers()
})

function setUp(probe: (signal: AbortSignal) => Promise<unknown> = async () => {}) {
  const backs: string[] = []
  const log = { info: () => {}, warn: () => {} }
  const onBack = () => void backs.push('back')
  breaker = new Breaker({ stage: 'tts', probe, probeLimitMs: 60_000, log, onBack })
  let asked = 0
  const call = (work: () => Promise<unknown>, signal = live) =>
    breaker.call(() => {
      asked++
      return work()
    }, signal)
  const failOften = async (times: number, error: unknown = away) => {
    for (let n = 0; n < times; n++) await call(() => fail(error)).catch(() => {})
  }
  return { backs, call, failOften, asked: () => asked }
}

test('five failures in a row open it: the sixth call is refused without being made', async () => {
  const { call, failOften, asked } = setUp()
  await failOften(5)
  await expect(call(async () => 'never')).rejects.toMatchObject({
    code: 'dependency_unavailable',
    details: { stage: 'tts' },
    retryAfterMs: 10_000,
  })
  expect(asked()).toBe(5)
})

test('a success in between begins the count anew', async () => {
  const { call, failOften } = setUp()
  await failOften(4)
  expect(breaker.isFailing).toBe(true)
  await call(async () => {})
  expect(breaker.isFailing).toBe(false)
  await failOften(4)
  expect(await call(async () => 'asked')).toBe('asked')
})

test.each(['invalid_request', 'overloaded', 'model_loading', 'draining', 'voice_not_found'] as const)(
  '%s is an answer, and no failure',
  async (code) => {
    const { call, failOften } = setUp()
    await failOften(9, new AppError(code, 'no'))
    expect(await call(async () => 'asked')).toBe('asked')
  },
)

test('what fails after its caller has left is nobody’s failure', async () => {
  const { call } = setUp()
  for (let n = 0; n < 9; n++) await call(() => fail(), AbortSignal.abort()).catch(() => {})
  expect(breaker.isFailing).toBe(false)
})

test('one probe every ten seconds, and nobody’s call, finds out that the service is back', async () => {
  let isBack = false
  let probes = 0
  const { call, failOften, backs } = setUp(async () => {
    probes++
    if (!isBack) throw away
  })
  await failOften(9)
  vi.advanceTimersByTime(9_999)
  expect([probes, vi.getTimerCount()]).toEqual([0, 1])
  vi.advanceTimersByTime(1)
  await settled()
  expect([probes, vi.getTimerCount(), backs]).toEqual([1, 1, []])
  await expect(call(async () => 'never')).rejects.toMatchObject({ code: 'dependency_unavailable' })
  isBack = true
  vi.advanceTimersByTime(10_000)
  await settled()
  expect([probes, vi.getTimerCount(), backs]).toEqual([2, 0, ['back']])
  expect(await call(async () => 'asked')).toBe('asked')
})

test('a refusal in good order is as good a sign of life', async () => {
  const { call, failOften } = setUp(() => fail(new AppError('overloaded', 'no')))
  await failOften(5)
  vi.advanceTimersByTime(10_000)
  await settled()
  expect(await call(async () => 'asked')).toBe('asked')
})

test('a call that began before it opened does not close it', async () => {
  const { call, failOften } = setUp()
  const gate = Promise.withResolvers<string>()
  const slow = call(() => gate.promise)
  await failOften(5)
  gate.resolve('late')
  expect(await slow).toBe('late')
  await expect(call(async () => 'never')).rejects.toMatchObject({ code: 'dependency_unavailable' })
})

test('after it is closed no timer is left, and a probe under way is ended', async () => {
  const started = Promise.withResolvers<AbortSignal>()
  const { failOften } = setUp((signal) => {
    started.resolve(signal)
    return new Promise<never>(() => {})
  })
  await failOften(5)
  vi.advanceTimersByTime(10_000)
  const signal = await started.promise
  breaker.close()
  await settled()
  expect([signal.aborted, vi.getTimerCount()]).toEqual([true, 0])
})
