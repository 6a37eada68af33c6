import { expect, test } from 'vitest'
import { keepAnswer } from './kept-answer.ts'
import { gate, ManualClock } from './testing/signals.ts'

test('those who ask at once share one work, and those who ask soon after its answer', async () => {
  const clock = new ManualClock()
  const answers = [gate<number>(), gate<number>()]
  let works = 0
  const ask = keepAnswer(async () => answers[works++]?.promise, 1000, clock.now)
  const early = [ask(), ask()]
  answers[0]?.resolve(1)
  expect(await Promise.all(early)).toEqual([1, 1])
  clock.advance(999)
  expect(await ask()).toBe(1)
  clock.advance(1)
  const late = ask()
  answers[1]?.resolve(2)
  expect([await late, works]).toEqual([2, 2])
})

test('a failure is told to all who waited, and not kept', async () => {
  let works = 0
  const ask = keepAnswer(async () => {
    works++
    if (works === 1) throw new Error('away')
    return works
  }, 1000)
  const [first, second] = await Promise.allSettled([ask(), ask()])
  expect([first.status, second.status, works]).toEqual(['rejected', 'rejected', 1])
  expect(await ask()).toBe(2)
})
