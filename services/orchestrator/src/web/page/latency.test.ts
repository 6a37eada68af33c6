import { describe, expect, test } from 'vitest'
import { plotOf, quantiles } from './latency.ts'

const waits = (...times: number[]) => times.map((ms) => ({ ms, isSpoken: true }))

test('the median and the 95th percentile are waits that there were', () => {
  expect(quantiles(waits(300, 100, 200))).toEqual({ p50: 200, p95: 300 })
  expect(quantiles(waits(...Array.from({ length: 100 }, (_, at) => at + 1)))).toEqual({ p50: 50, p95: 95 })
  expect(quantiles([])).toBeNull()
})

describe('the plot', () => {
  const box = { width: 300, height: 100 }

  test('has a point for each turn, from left to right, higher for longer', () => {
    const { points } = plotOf(waits(100, 400, 200), box)
    expect(points.map(({ x }) => x)).toEqual([50, 150, 250])
    const [first, second, third] = points.map(({ y }) => y)
    expect(second).toBeLessThan(third ?? 0)
    expect(third).toBeLessThan(first ?? 0)
    for (const { y } of points) expect([y > 0, y < 100]).toEqual([true, true])
  })

  test('begins at 0 and has its median where the middle turn is', () => {
    const { points, lines, medianY } = plotOf(waits(100, 400, 200), box)
    expect(lines[0]).toEqual({ ms: 0, y: 100 })
    expect(medianY).toBe(points[2]?.y)
  })

  test('without a turn is empty', () => {
    expect(plotOf([], box)).toMatchObject({ points: [], medianY: null })
  })
})
