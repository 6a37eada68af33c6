import { describe, expect, test } from 'vitest'
import { chooseBatch } from './batch-choice.ts'

const padded = (lengths: readonly number[]): number => lengths.length * Math.max(...lengths)
const choose = (waiting: readonly number[], limits: { size?: number; cost?: number; padding?: number } = {}) =>
  chooseBatch(waiting, (length) => length, {
    maxBatchSize: limits.size ?? 32,
    maxCost: limits.cost ?? 1000,
    cost: padded,
    maxPadding: limits.padding,
  })

describe('without a limit on padding', () => {
  test('the first that fit both limits go, in their order', () => {
    expect(choose([3, 9, 4])).toEqual([3, 9, 4])
    expect(choose([3, 9, 4, 5], { size: 2 })).toEqual([3, 9])
    expect(choose([3, 9, 4, 5], { cost: 28 })).toEqual([3, 9, 4])
  })

  test('one input that is larger than the limit goes alone', () => {
    expect(choose([50, 1], { cost: 10 })).toEqual([50])
    expect(choose([])).toEqual([])
  })
})

describe('with a limit on padding', () => {
  const like = { padding: 1.25 }

  test('a short text never pays for a long neighbour, whichever came first', () => {
    expect(choose([8, 256], like)).toEqual([8])
    expect(choose([256, 8], like)).toEqual([256])
    expect(choose([8, 256, 9, 250, 8], like)).toEqual([8, 8, 9])
  })

  test('the oldest is always among those that go, so that none waits for ever', () => {
    expect(choose([100, 8, 8, 8, 9, 9, 110], like)).toEqual([100, 110])
    expect(choose([64, 8, 8, 8], { ...like, size: 2 })).toEqual([64])
  })

  test('its nearest neighbours in length go with it, up to both limits', () => {
    expect(choose([10, 14, 11, 9, 10, 12], { ...like, size: 3 })).toEqual([9, 10, 10])
    expect(choose([10, 10, 10, 10], { ...like, cost: 30 })).toEqual([10, 10, 10])
  })

  test('one side at its limit does not keep the other side out', () => {
    expect(choose([20, 40, 19, 18], like)).toEqual([18, 19, 20])
    expect(choose([20, 1, 22, 23], like)).toEqual([20, 22, 23])
  })
})
