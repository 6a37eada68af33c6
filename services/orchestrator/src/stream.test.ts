import { describe, expect, test } from 'vitest'
import { Channel, streamOf } from './stream.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))
const live = (): AbortSignal => new AbortController().signal

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = []
  for await (const item of items) seen.push(item)
  return seen
}

describe('Channel', () => {
  test('gives items in order, and ends after the last one', async () => {
    const channel = new Channel<string>(2, live())
    const reading = all(channel)
    for (const item of ['a', '', 'c']) await channel.push(item)
    channel.end()
    expect(await reading).toEqual(['a', '', 'c'])
  })

  test('makes the writer wait while it is full', async () => {
    const channel = new Channel<number>(1, live())
    await channel.push(1)
    let isPushed = false
    const pushing = channel.push(2).then(() => (isPushed = true))
    await settled()
    expect(isPushed).toBe(false)
    const reader = channel[Symbol.asyncIterator]()
    expect((await reader.next()).value).toBe(1)
    await pushing
    expect((await reader.next()).value).toBe(2)
  })

  test('an abort wakes a waiting writer and a waiting reader with its reason', async () => {
    const stop = new AbortController()
    const full = new Channel<number>(1, stop.signal)
    await full.push(1)
    const writer = full.push(2)
    const reader = new Channel<number>(1, stop.signal)[Symbol.asyncIterator]().next()
    stop.abort(new Error('over'))
    await expect(writer).rejects.toThrow('over')
    await expect(reader).rejects.toThrow('over')
  })
})

describe('streamOf', () => {
  test('yields what the work emits and ends with it', async () => {
    const items = streamOf<number>(1, live(), async (emit) => {
      for (const n of [1, 2, 3]) await emit(n)
    })
    expect(await all(items)).toEqual([1, 2, 3])
  })

  test('throws what the work throws', async () => {
    const items = streamOf<number>(1, live(), async () => {
      throw new Error('work failed')
    })
    await expect(all(items)).rejects.toThrow('work failed')
  })

  test('a reader who leaves aborts the work', async () => {
    let seen: AbortSignal | undefined
    const items = streamOf<number>(1, live(), async (emit, signal) => {
      seen = signal
      for (let n = 0; ; n++) await emit(n)
    })
    for await (const _ of items) break
    expect(seen?.aborted).toBe(true)
  })
})
