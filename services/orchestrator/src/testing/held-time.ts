/** For tests: time stands still, and passes as the test says, so that it is certain which limit ended a wait. Sockets go on by themselves. */
import { expect, vi } from 'vitest'
import { startStub } from './http-stub.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

/** To be called before the first timer is set. Node's `fetch` sets one for good with its first call, which is not held. */
export async function holdTime(): Promise<void> {
  const stub = await startStub((response) => response.end())
  await fetch(stub.url)
  await stub.close()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
}

/** Fails when a timer was left. */
export function releaseTime(): void {
  const left = vi.getTimerCount()
  vi.useRealTimers()
  expect(left, 'timers left').toBe(0)
}

export const passTime = (ms: number): void => void vi.advanceTimersByTime(ms)

/** `work`, once `isWaiting`: it ends when `ms` have passed, and not a millisecond before. */
export async function takesExactly<T>(ms: number, work: Promise<T>, isWaiting: () => boolean): Promise<T> {
  let hasEnded = false
  const ended = work.finally(() => (hasEnded = true))
  while (!isWaiting()) await settled()
  for (let turn = 0; turn < 5; turn++) await settled()
  passTime(ms - 1)
  for (let turn = 0; turn < 20; turn++) await settled()
  expect(hasEnded, `ended before ${ms} ms`).toBe(false)
  passTime(1)
  return ended
}
