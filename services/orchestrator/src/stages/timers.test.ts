import { describe, expect, test } from 'vitest'
import { builtInTools, runTool } from './tools.ts'
import { Timers } from './timers.ts'

function setUp() {
  let ms = Date.UTC(2026, 1, 3, 12)
  const timers = new Timers(() => new Date(ms))
  const tools = builtInTools(timers)
  const act = (args: object, session: string | undefined = 'a') =>
    runTool(tools, { id: 'x', name: 'timer', args: JSON.stringify(args) }, session)
  return { timers, act, advance: (seconds: number) => (ms += seconds * 1000) }
}

describe('a timer', () => {
  test('is set, listed and cancelled', () => {
    const { act, advance } = setUp()
    expect(act({ action: 'set', seconds: 300, label: 'tea' })).toMatch(/^Timer 1 "tea" rings at .*, in 300 seconds\.$/)
    act({ action: 'set', seconds: 60 })
    advance(10)
    expect(act({ action: 'list' }).split('\n')).toEqual([
      expect.stringMatching(/^Timer 1 "tea" .* in 290 seconds/),
      expect.stringMatching(/^Timer 2 rings .* in 50 seconds/),
    ])
    expect(act({ action: 'cancel', id: 1 })).toBe('It is cancelled.')
    expect(act({ action: 'list' })).toMatch(/^Timer 2/)
    expect(act({ action: 'cancel', id: 1 })).toMatch(/^error: /)
  })

  test('that rang is told until it is forgotten, and only in its session', () => {
    const { timers, act, advance } = setUp()
    act({ action: 'set', seconds: 300, label: 'tea' })
    advance(299)
    expect(timers.rung('a').notices).toEqual([])
    advance(1)
    expect([timers.rung('b').notices, timers.rung(undefined).notices]).toEqual([[], []])
    const { notices } = timers.rung('a')
    expect(notices).toEqual([expect.stringMatching(/^The timer "tea" rang at \d\d:\d\d:\d\d\.$/)])
    const again = timers.rung('a')
    expect(again.notices).toEqual(notices)
    again.forget()
    expect([timers.rung('a').notices, act({ action: 'list' })]).toEqual([[], 'There is no timer.'])
  })

  test.each([
    { action: 'set' },
    { action: 'set', seconds: 0 },
    { action: 'set', seconds: 1e9 },
    { action: 'set', seconds: 5, label: 'x'.repeat(100) },
    { action: 'ring' },
  ])('%j is told as an error', (args) => {
    expect(setUp().act(args)).toMatch(/^error: /)
  })

  test('needs a session, and a session has so many', () => {
    const { act } = setUp()
    const tools = builtInTools(new Timers())
    const call = { id: 'x', name: 'timer', args: '{"action":"list"}' }
    expect(runTool(tools, call, undefined)).toMatch(/^error: /)
    for (let count = 0; count < 16; count++) act({ action: 'set', seconds: 60 })
    expect(act({ action: 'set', seconds: 60 })).toMatch(/^error: /)
  })
})
