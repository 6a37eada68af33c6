import { expect, test } from 'vitest'
import { alignTokens } from './alignment.ts'

/** Each token looks at its own stretch of frames, [from, to). */
function looking(stretches: readonly (readonly [number, number])[], frames: number) {
  const values = new Float32Array(stretches.length * frames)
  for (const [token, [from, to]] of stretches.entries())
    values.fill(1 / (to - from), token * frames + from, token * frames + to)
  return { values, tokens: stretches.length, frames }
}

test('a token begins where the decoder began to look for it', () => {
  const head = looking(
    [
      [0, 20],
      [20, 45],
      [45, 50],
      [50, 80],
    ],
    80,
  )
  expect(alignTokens([head, head])).toEqual([0, 20, 45, 50])
})

test('tokens stay in order even where a head looked back', () => {
  const begins = alignTokens([
    looking(
      [
        [0, 20],
        [40, 60],
        [20, 40],
        [60, 80],
      ],
      80,
    ),
  ])
  expect(begins).toEqual(begins.toSorted((a, b) => a - b))
})

test('silence behind the last word draws no word to it', () => {
  const frames = 200
  const head = looking(
    [
      [0, 20],
      [20, 40],
      [40, 60],
      [190, 200],
    ],
    frames,
  )
  // A breath of attention everywhere, as softmax leaves it.
  for (let at = 0; at < head.values.length; at++)
    head.values[at] = (head.values[at] ?? 0) + 1e-4 * Math.sin(at * 7.3) ** 2
  expect(alignTokens([head])[2]).toBeLessThan(45)
})

test('clips shorter than the filter, and single tokens, are aligned too', () => {
  expect(alignTokens([looking([[0, 2]], 2)])).toEqual([0])
})
