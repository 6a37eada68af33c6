import { describe, expect, test } from 'vitest'
import { Timers } from './timers.ts'
import { builtInTools, runTool, toolSpecs, workOut } from './tools.ts'

const NOW = new Date('2026-02-03T16:05:00Z')
const tools = builtInTools(new Timers(() => NOW), () => NOW)
const call = (name: string, args: unknown) =>
  runTool(tools, { id: 'a', name, args: typeof args === 'string' ? args : JSON.stringify(args) }, 'session')

describe('built-in tools', () => {
  test('are told with a schema of their arguments', () => {
    const [clock, sums] = toolSpecs(tools)
    expect(clock).toMatchObject({ type: 'function', function: { name: 'clock', parameters: { type: 'object' } } })
    expect(sums?.function.parameters).toMatchObject({
      properties: { expression: { type: 'string' } },
      required: ['expression'],
      additionalProperties: false,
    })
  })

  test('the clock knows the zones', () => {
    expect(call('clock', { timeZone: 'Asia/Tokyo' })).toMatch(/Wednesday.* 4 February 2026 at 01:05/)
    expect(call('clock', {})).toMatch(/2026 at \d\d:05/)
  })

  test('sums are worked out', () => {
    expect(call('sums', { expression: '(2 + 3) * 4.5' })).toBe('22.5')
    expect(call('sums', '{"expression":"1 / 4"}')).toBe('0.25')
  })

  test.each([
    ['nothing', {}],
    ['clock', { timeZone: 'Nowhere/Land' }],
    ['clock', { zone: 'UTC' }],
    ['sums', {}],
    ['sums', { expression: 'process.exit()' }],
    ['sums', { expression: `1${'+1'.repeat(200)}` }],
    ['sums', '{"expression":'],
    ['sums', null],
  ])('a call of %s with %j is told as an error', (name, args) => {
    expect(call(name, args)).toMatch(/^error: /)
  })
})

test.each([
  ['1 + 2 * 3', 7],
  ['8 - 3 - 2', 3],
  ['16 / 4 / 2', 2],
  ['-(2 + 3) * -2', 10],
  ['0.1 + 0.2', 0.3],
  ['6 × 7 ÷ 2', 21],
])('%s is %d', (expression, value) => {
  expect(workOut(expression)).toBe(value)
})

test.each(['', '1 +', '(1', '1)', '1 2', '2 ** 3', '1 / 0', 'two', '1e5'])('%j has no value', (expression) => {
  expect(() => workOut(expression)).toThrow(/expected/)
})
