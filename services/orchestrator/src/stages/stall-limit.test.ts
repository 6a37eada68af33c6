import { expect, test } from 'vitest'
import { limitWaits } from './stall-limit.ts'

const live = (): AbortSignal => new AbortController().signal
const never = () => new Promise<never>(() => {})

test('the waits of a stream share one limit, and the time between them is free', async () => {
  let now = 0
  const wait = limitWaits({ stallMs: 60_000, totalMs: 60_000, now: () => now }, live())
  const takes = (ms: number) => wait(async () => void (now += ms))
  await takes(30_000)
  now += 3_600_000
  await takes(29_990)
  await expect(wait(never)).rejects.toThrow('within 10 ms')
})

test('a wait that fails counts too', async () => {
  let now = 0
  const wait = limitWaits({ stallMs: 60_000, totalMs: 60_000, now: () => now }, live())
  const fails = async () => {
    now += 59_990
    throw new Error('cut')
  }
  await expect(wait(fails)).rejects.toThrow('cut')
  await expect(wait(never)).rejects.toThrow('within 10 ms')
})

test.each([
  [{ stallMs: 10, totalMs: 60_000 }, undefined],
  [{ stallMs: 60_000, totalMs: 60_000 }, 10],
])('one wait takes no longer than its own limit: %j, %j', async (limits, atMostMs) => {
  await expect(limitWaits(limits, live())(never, atMostMs)).rejects.toThrow('within 10 ms')
})

test('an abort ends a wait with its reason', async () => {
  const stop = new AbortController()
  const waiting = limitWaits({ stallMs: 60_000, totalMs: 60_000 }, stop.signal)(never)
  stop.abort(new Error('left'))
  await expect(waiting).rejects.toThrow('left')
})
