import { expect, test } from 'vitest'
import { inParallel } from './in-parallel.ts'
import { settle } from './testing/signals.ts'

const never = new AbortController().signal
/** Work that ends when the test says so, or with its signal's reason. */
function held() {
  const running = new Map<number, { resolve(): void; reject(error: Error): void; stop: AbortSignal }>()
  const work = (input: number, stop: AbortSignal): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    running.set(input, { resolve: () => resolve(input * 10), reject, stop })
    stop.addEventListener('abort', () => reject(stop.reason), { once: true })
    return promise.finally(() => running.delete(input))
  }
  return { running, work }
}

test('as many as allowed go at once, in order, and outputs keep the order of the inputs', async () => {
  const { running, work } = held()
  const all = inParallel([1, 2, 3], 2, never, work)
  await settle()
  expect([...running.keys()]).toEqual([1, 2])
  running.get(2)?.resolve()
  await settle()
  expect([...running.keys()]).toEqual([1, 3])
  running.get(3)?.resolve()
  running.get(1)?.resolve()
  expect(await all).toEqual([10, 20, 30])
  expect(await inParallel([], 2, never, work)).toEqual([])
})

test('the first failure stops the others, and nothing begins after it', async () => {
  const { running, work } = held()
  const all = inParallel([1, 2, 3], 2, never, work)
  await settle()
  const { stop } = running.get(1) ?? {}
  const full = new Error('full')
  running.get(2)?.reject(full)
  await expect(all).rejects.toThrow('full')
  expect(stop?.reason).toBe(full)
  expect([...running.keys()]).toEqual([])
})

test("the caller's signal stops all of them with its reason", async () => {
  const { running, work } = held()
  const leaving = new AbortController()
  const all = inParallel([1, 2, 3], 2, leaving.signal, work)
  await settle()
  leaving.abort(new Error('gone'))
  await expect(all).rejects.toThrow('gone')
  expect([...running.keys()]).toEqual([])
})
