import { AppError } from '@hearth/shared/errors'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { MemoryBacklog } from './memory-backlog.ts'
import type { Statements } from './memory-backlog.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => vi.useRealTimers())

const settled = () => new Promise((resolve) => setImmediate(resolve))
const said = (text: string): Statements => ({ statements: [text], user: 'anna', session: 's1', turn: null, saidAt: 1 })
const away = new AppError('stage_failed', 'away')

function setUp(answer: (texts: readonly string[]) => Promise<void> = async () => {}) {
  const stored: string[] = []
  const warnings: string[] = []
  const log = { info: () => {}, warn: (_: unknown, text = '') => void warnings.push(text) }
  const store = async (batch: readonly Statements[]) => {
    const texts = batch.flatMap(({ statements }) => statements)
    await answer(texts)
    stored.push(...texts)
  }
  const backlog = new MemoryBacklog({ store, retryMs: 5000, log })
  return { backlog, stored, warnings }
}

test('what is kept is stored in its order, and then gone', async () => {
  const { backlog, stored } = setUp()
  for (let n = 0; n < 20; n++) backlog.keep(said(`${n}`))
  vi.advanceTimersByTime(4999)
  expect(stored).toEqual([])
  vi.advanceTimersByTime(1)
  while (backlog.size > 0) await settled()
  expect(stored).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`))
  expect(vi.getTimerCount()).toBe(0)
})

test('while storing fails it is tried again and again, and nothing is lost', async () => {
  let isAway = true
  const { backlog, stored } = setUp(async () => {
    if (isAway) throw away
  })
  backlog.keep(said('first'))
  backlog.keep(said('second'))
  for (let n = 0; n < 3; n++) {
    vi.advanceTimersByTime(5000)
    await settled()
    expect([backlog.size, vi.getTimerCount()]).toEqual([2, 1])
  }
  isAway = false
  vi.advanceTimersByTime(5000)
  await settled()
  expect(stored).toEqual(['first', 'second'])
})

test('a thousand turns are kept at most, the oldest go', async () => {
  const { backlog, stored, warnings } = setUp()
  for (let n = 0; n < 1002; n++) backlog.keep(said(`${n}`))
  expect([backlog.size, warnings.length]).toEqual([1000, 2])
  await backlog.replay()
  expect([stored[0], stored.at(-1), stored.length]).toEqual(['2', '1001', 1000])
})

test('what is kept while others are stored comes behind them, and none is stored twice', async () => {
  const gate = Promise.withResolvers<void>()
  const { backlog, stored } = setUp(() => gate.promise)
  backlog.keep(said('first'))
  const replaying = [backlog.replay(), backlog.replay()]
  backlog.keep(said('second'))
  gate.resolve()
  await Promise.all(replaying)
  expect(stored).toEqual(['first', 'second'])
})

test('words that are refused are given up, and their neighbours are not', async () => {
  const { backlog, stored, warnings } = setUp(async (texts) => {
    if (texts.includes('bad')) throw new AppError('input_too_long', 'no')
  })
  for (const text of ['first', 'bad', 'last']) backlog.keep(said(text))
  await backlog.replay()
  expect([stored, backlog.size, warnings.length]).toEqual([['first', 'last'], 0, 1])
})

test('after close nothing is tried any more', async () => {
  const { backlog } = setUp()
  backlog.keep(said('first'))
  backlog.close()
  expect(vi.getTimerCount()).toBe(0)
  backlog.keep(said('second'))
  expect(vi.getTimerCount()).toBe(0)
})
