import { eventually } from '@hearth/shared/testing/eventually'
import { afterEach, expect, test, vi } from 'vitest'
import { Sessions } from '../sessions.ts'
import { SessionBook } from './session-book.ts'

afterEach(() => vi.restoreAllMocks())

test('an exchange waits for as long as the turn before it may be in the session', async () => {
  const limits: number[] = []
  const limit = new AbortController()
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    limits.push(ms)
    return limit.signal
  })
  const sessions = new Sessions({ maxSessions: 2, maxTurns: 10, idleMs: 60_000, maxWaiting: 4 })
  const turn = await sessions.enter('anna', 'tea', limit.signal)
  const book = new SessionBook({
    user: 'anna',
    session: 'tea',
    sessions,
    turnLimitMs: 60_000,
    onTrouble: (error) => expect.unreachable(error.message),
  })
  book.settle({ user: 'One?', reply: 'Yes.' })
  await eventually(() => expect(limits).toHaveLength(1))
  turn.leave()
  await book.settled
  expect(limits[0]).toBeGreaterThan(60_000)
  expect((await sessions.read('anna', 'tea'))?.history).toMatchObject([{ user: 'One?', reply: 'Yes.' }])
})
