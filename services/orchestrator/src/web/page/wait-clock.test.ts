import { expect, test } from 'vitest'
import { WaitClock } from './wait-clock.ts'

function setUp() {
  let ms = 1000
  const clock = new WaitClock(() => ms)
  return { clock, pass: (more: number) => (ms += more) }
}

test('who typed waits since then, and once', () => {
  const { clock, pass } = setUp()
  clock.typed()
  pass(120)
  expect(clock.soundBegan()).toEqual({ ms: 120, isSpoken: false })
  expect(clock.soundBegan()).toBeNull()
})

test('who spoke waits since it became quiet, also before the server said so', () => {
  const { clock, pass } = setUp()
  clock.speechBegan(0)
  for (const level of [0.3, 0.3, 0.001, 0.001, 0.001, 0.001]) {
    pass(40)
    clock.sent(40, level)
  }
  clock.speechEnded(240)
  pass(60)
  expect(clock.soundBegan()).toEqual({ ms: 160 + 60, isSpoken: true })
})

test('another connection begins to count anew', () => {
  const { clock } = setUp()
  clock.sent(4000, 1)
  clock.reset()
  clock.speechBegan(0)
  clock.sent(40, 0.5)
  clock.speechEnded(40)
  expect(clock.soundBegan()).toEqual({ ms: 0, isSpoken: true })
})
