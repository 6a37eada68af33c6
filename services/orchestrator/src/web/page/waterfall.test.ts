import { expect, test } from 'vitest'
import { duration, layOut, roundSteps } from './waterfall.ts'

test('each stage has one row, with a bar for each stretch, and gaps are counted', () => {
  const { rows, totalMs, idleMs } = layOut([
    { stage: 'stt', startMs: 0, durationMs: 100 },
    { gap: 'stt>llm', startMs: 100, durationMs: 20 },
    { stage: 'llm', startMs: 120, durationMs: 80 },
    { stage: 'tts', startMs: 150, durationMs: 25 },
    { stage: 'llm', startMs: 300, durationMs: 100 },
    { stage: 'tts', startMs: 350, durationMs: 50 },
  ])
  expect([totalMs, idleMs]).toEqual([400, 20])
  expect(rows).toEqual([
    { stage: 'stt', ms: 100, bars: [{ startShare: 0, widthShare: 0.25, isCut: false }] },
    {
      stage: 'llm',
      ms: 180,
      bars: [
        { startShare: 0.3, widthShare: 0.2, isCut: false },
        { startShare: 0.75, widthShare: 0.25, isCut: false },
      ],
    },
    {
      stage: 'tts',
      ms: 75,
      bars: [
        { startShare: 0.375, widthShare: 0.0625, isCut: false },
        { startShare: 0.875, widthShare: 0.125, isCut: false },
      ],
    },
  ])
})

test('what was still at work when a turn was cut off is marked', () => {
  const { rows } = layOut([
    { stage: 'stt', startMs: 0, durationMs: 100 },
    { stage: 'llm', startMs: 100, durationMs: 50, unfinished: true },
  ])
  expect(rows.map(({ bars }) => bars.map(({ isCut }) => isCut))).toEqual([[false], [true]])
})

test('a turn without a stage is laid out too', () => {
  expect(layOut([])).toMatchObject({ rows: [], idleMs: 0 })
})

test.each([
  [76, [0, 50]],
  [400, [0, 200, 400]],
  [999, [0, 500]],
  [1500, [0, 500, 1000, 1500]],
  [12, [0, 5, 10]],
])('the axis up to %i ms has few round numbers', (most, steps) => {
  expect(roundSteps(most, 3)).toEqual(steps)
})

test('durations are told in the unit that is read easily', () => {
  expect([0.4, 84.6, 999, 1250].map(duration)).toEqual(['0 ms', '85 ms', '999 ms', '1.25 s'])
})
