import { expect, test } from 'vitest'
import { Newest } from './newest.ts'
import { ManualClock, settle } from './testing/signals.ts'

function setUp() {
  const clock = new ManualClock()
  const news = new Newest<number>(100, clock)
  const read: unknown[] = []
  const next = () => void news.next(1000).then((value) => read.push(typeof value === 'string' ? value : value.value))
  return { clock, news, read, next }
}

test('the first is told at once, then the newest in each interval, and none is told twice', async () => {
  const { clock, news, read, next } = setUp()
  news.push(1)
  next()
  await settle()
  next()
  for (const value of [2, 3]) news.push(value)
  await settle()
  expect(read).toEqual([1])
  news.push(4)
  clock.advance(100)
  await settle()
  expect(read).toEqual([1, 4])
  next()
  clock.advance(999)
  await settle()
  expect(read).toEqual([1, 4])
  clock.advance(1)
  await settle()
  expect([read, clock.pending]).toEqual([[1, 4, 'quiet'], []])
})

test('what is urgent does not wait, and the end comes after the last', async () => {
  const { clock, news, read, next } = setUp()
  news.push(1)
  next()
  await settle()
  next()
  news.push(2)
  news.push(3, true)
  await settle()
  expect(read).toEqual([1, 3])
  news.push(4)
  next()
  news.end()
  await settle()
  next()
  await settle()
  expect([read, clock.pending]).toEqual([[1, 3, 4, 'ended'], []])
})
