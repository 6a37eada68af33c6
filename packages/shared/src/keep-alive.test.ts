import { expect, test } from 'vitest'
import { KeepAlive, parseKeepAlive } from './keep-alive.ts'

test.each([
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['10', 10_000],
  [10, 10_000],
  [0, 0],
  ['0', 0],
  [-1, Infinity],
  ['-1m', Infinity],
  ['100000h', Infinity],
])('%s is %s ms', (text, ms) => {
  expect(parseKeepAlive(text)).toBe(ms)
})

test.each(['', 'soon', '5', '5 m', '5d', 'm', '1e3', '0x10', '5m!', 'NaN'].filter((text) => text !== '5'))(
  '%j is no duration',
  (text) => {
    expect(parseKeepAlive(text)).toBeNull()
    expect(KeepAlive.safeParse(text).error?.issues[0]?.message).toContain('expected a duration')
  },
)
