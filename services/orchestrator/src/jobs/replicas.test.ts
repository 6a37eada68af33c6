import { describe, expect, test } from 'vitest'
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

  test('a batch that has places is filled, and no more than that', async () => {
    const replicas = of(urls)
    await takeAll(replicas, BATCH_SIZE - 1)
    await takeAll(replicas, BATCH_SIZE - 1)
    expect((await takeAll(replicas, 2)).map(({ url }) => url)).toEqual(urls)
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
