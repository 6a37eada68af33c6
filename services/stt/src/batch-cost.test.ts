import { chooseBatch } from '@hearth/shared/batch-choice'
import { expect, test } from 'vitest'
import { batchCost, MAX_PADDING } from './batch-cost.ts'
import type { SpeechInput } from './speech.ts'

const waiting = [3, 5, 3, 4, 3, 5, 3, 3].map((seconds, at) => ({
  at,
  input: { samples: new Float32Array(seconds * 16_000), language: 'en' } satisfies SpeechInput,
}))

const chosen = (canMixLengths: boolean) =>
  chooseBatch(waiting, ({ input }) => input, {
    maxBatchSize: 4,
    maxCost: Infinity,
    cost: (inputs) => batchCost(inputs, { canMixLengths }),
    maxPadding: MAX_PADDING,
  }).map(({ at }) => at)

test('a model that hears different lengths together takes who came first', () => {
  expect(chosen(true)).toEqual([0, 1, 2, 3])
})

test('another takes those as long as the one that waits longest, as they came', () => {
  expect(chosen(false)).toEqual([0, 2, 4, 6])
})

test('before the files are there nothing is known, and all are alike', () => {
  expect(
    batchCost(
      waiting.map(({ input }) => input),
      null,
    ),
  ).toBe(waiting.length)
})
