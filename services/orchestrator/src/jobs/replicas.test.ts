import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { BATCH_SIZE, Replicas } from './replicas.ts'
import type { ReplicasOptions } from './replicas.ts'

const urls = ['http://a', 'http://b']
const of = (ready: readonly string[], options: Partial<ReplicasOptions> = {}) => {
  const replicas = new Replicas({ windowMs: 0, ...options })
  replicas.ready = ready
  return replicas
}
const takeAll = (replicas: Replicas, count: number) =>
  Promise.all(Array.from({ length: count }, () => replicas.take([])))

describe('who gets the next job', () => {
  test('jobs that start together go together, up to one batch each', async () => {
    const sizes: number[] = []
    const taken = await takeAll(of(urls, { onBatch: (size) => sizes.push(size) }), 6)
    expect(taken.map(({ url }) => url)).toEqual([...Array(4).fill('http://a'), ...Array(2).fill('http://b')])
    expect(sizes).toEqual([4, 2])
  })

  test('jobs that start one after another go to the least busy one', async () => {
    const replicas = of(urls)
    const first = await replicas.take([])
    const second = await replicas.take([])
    expect([first.url, second.url]).toEqual(urls)
    second.release()
    expect((await replicas.take([])).url).toBe('http://b')
  })

  test('of equally busy ones the one that waited longest is next, so that all of them work', async () => {
    const replicas = of([...urls, 'http://c'])
    const seen: string[] = []
    for (let count = 0; count < 6; count++) {
      const replica = await replicas.take([])
      seen.push(replica.url)
      replica.release()
    }
    expect(seen).toEqual([...urls, 'http://c', ...urls, 'http://c'])
  })

  test('a batch that has places is filled, and no more than that', async () => {
    const replicas = of(urls)
    await takeAll(replicas, BATCH_SIZE - 1)
    await takeAll(replicas, BATCH_SIZE - 1)
    expect((await takeAll(replicas, 2)).map(({ url }) => url)).toEqual(urls)
  })

  test('jobs that follow a batch that ended, one by one, are a batch again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const sizes: number[] = []
    const replicas = of(urls, { onBatch: (size) => sizes.push(size), now: () => 0 })
    for (const replica of await takeAll(replicas, BATCH_SIZE)) replica.release()
    const following = [replicas.take([])]
    for (let count = 1; count < BATCH_SIZE; count++) {
      await new Promise(setImmediate)
      following.push(replicas.take([]))
    }
    await Promise.all(following)
    expect(sizes).toEqual([BATCH_SIZE, BATCH_SIZE])
  })

  test('the places of a batch that is not over are kept for a whole one, but not for long', async () => {
    const sizes: number[] = []
    const replicas = of(['http://a'], { onBatch: (size) => sizes.push(size), now: () => 0 })
    const [first] = await takeAll(replicas, BATCH_SIZE)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    first?.release()
    const next = replicas.take([])
    vi.advanceTimersByTime(49)
    expect(sizes).toEqual([BATCH_SIZE])
    vi.advanceTimersByTime(1)
    expect([(await next).url, ...sizes]).toEqual(['http://a', BATCH_SIZE, 1])
  })

  test('the one that failed the job is asked again only when there is no other', async () => {
    const replicas = of(urls)
    expect((await replicas.take(['http://a'])).url).toBe('http://b')
    replicas.ready = ['http://a']
    expect((await replicas.take(['http://a'])).url).toBe('http://a')
  })

  test('after a failure the others come first for a while', async () => {
    let nowMs = 0
    const replicas = of(urls, { now: () => nowMs })
    replicas.failed('http://a')
    expect((await takeAll(replicas, 4)).map(({ url }) => url)).toEqual(Array(4).fill('http://b'))
    nowMs = 5001
    expect((await replicas.take([])).url).toBe('http://a')
  })

  test('while none is ready there is none to take', async () => {
    await expect(takeAll(of([]), 2)).rejects.toMatchObject({ code: 'dependency_unavailable' })
  })

  test('with a window the first job waits for others, but not for more than a batch', async () => {
    const sizes: number[] = []
    const replicas = of(urls, { windowMs: 600_000, onBatch: (size) => sizes.push(size) })
    const first = replicas.take([])
    await new Promise(setImmediate)
    expect(sizes).toEqual([])
    await takeAll(replicas, BATCH_SIZE - 1)
    expect([(await first).url, ...sizes]).toEqual(['http://a', BATCH_SIZE])
  })
})
