import { expect, test } from 'vitest'
import { inQuietMoments } from './quiet-moments.ts'
import { abortListeners, ManualClock, never, settle } from './testing/signals.ts'

function setUp({ isInUse = (): boolean => false, signal = never } = {}) {
  const clock = new ManualClock()
  let done = 0
  const part = async () => ++done < 3
  const end = inQuietMoments(part, { isInUse, signal, now: clock.now, setTimer: clock.setTimer }).then(
    () => 'over',
    (error: unknown) => error,
  )
  const pass = async (moments: number) => {
    for (let count = 0; count < moments; count++) {
      clock.advance(20)
      await settle()
    }
    return done
  }
  return { clock, end, pass }
}

test('one part in each moment, until the last one', async () => {
  const { end, pass, clock } = setUp()
  expect([await pass(0), await pass(1), await pass(1), await pass(5)]).toEqual([0, 1, 2, 3])
  expect([await end, clock.pending]).toEqual(['over', []])
})

test('none while somebody is served', async () => {
  let isInUse = true
  const { pass } = setUp({ isInUse: () => isInUse })
  expect(await pass(5)).toBe(0)
  isInUse = false
  expect(await pass(1)).toBe(1)
})

test('none any more after a minute without a moment', async () => {
  const { end, pass } = setUp({ isInUse: () => true })
  expect(await pass(3001)).toBe(0)
  expect(await end).toBe('over')
})

test('an abort ends the wait, and leaves nothing', async () => {
  const leaving = new AbortController()
  const { end, clock } = setUp({ signal: leaving.signal })
  leaving.abort('left')
  expect(await end).toBe('left')
  expect([clock.pending, abortListeners(leaving.signal)]).toEqual([[], 0])
})
