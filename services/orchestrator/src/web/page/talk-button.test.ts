import { expect, test } from 'vitest'
import { press, release, RELEASED } from './talk-button.ts'
import type { TalkAction, TalkButton } from './talk-button.ts'

/** `+500`: pressed at 500 ms; `-700`: let go at 700. */
function follow(...times: number[]): TalkAction[] {
  let button: TalkButton = RELEASED
  return times.map((time) => {
    const step = time >= 0 && !Object.is(time, -0) ? press(button, time) : release(button, -time)
    button = step.button
    return step.action
  })
}

test('held, it records until it is let go', () => {
  expect(follow(1000, -3000)).toEqual(['start', 'send'])
})

test('tapped, it records until it is tapped again', () => {
  expect(follow(1000, -1100, 5000, -5100)).toEqual(['start', null, 'send', null])
})

test('a second press while it is held is nothing, as is a release of what was not pressed', () => {
  expect(follow(-500, 1000, 1500, -3000, -3100)).toEqual([null, 'start', null, 'send', null])
})

test('after a turn it is as at the beginning', () => {
  expect(follow(1000, -1100, 2000, -2900, 4000, -6000)).toEqual(['start', null, 'send', null, 'start', 'send'])
})
