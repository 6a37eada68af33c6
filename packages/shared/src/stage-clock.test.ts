import { expect, test } from 'vitest'
import { StageClock } from './stage-clock.ts'
import type { Waterfall } from './stage-clock.ts'
import { ManualClock } from './testing/signals.ts'

test('stages are timed, also when they fail, and add up when they come twice', async () => {
  const { now, advance } = clockOf()
  const stages = new StageClock(['stt', 'llm', 'tts'], now)
  const spend = (ms: number) => async () => advance(ms)
  await stages.time('tts', spend(5))
  await stages.time('stt', spend(20))
  await stages.time('tts', spend(7))
  await expect(stages.time('llm', async () => (advance(3), Promise.reject(new Error('broken'))))).rejects.toThrow(
    'broken',
  )
  expect(stages.timings()).toEqual({ sttMs: 20, llmMs: 3, ttsMs: 12, totalMs: 35 })
  expect(Object.keys(stages.timings())).toEqual(['sttMs', 'llmMs', 'ttsMs', 'totalMs'])
  expect(stages.entries()).toEqual([
    ['stt', 20],
    ['llm', 3],
    ['tts', 12],
    ['total', 35],
  ])
})

test('what is still at work is told as far as it is', async () => {
  const { now, advance } = clockOf()
  const stages = new StageClock(['stt', 'llm', 'tts'], now)
  await stages.time('stt', async () => advance(20))
  const over = Promise.withResolvers<void>()
  await stages.time('llm', async () => advance(30))
  const thinking = stages.time('llm', () => over.promise)
  advance(40)
  const [stt, llm] = [
    { stage: 'stt', startMs: 0, durationMs: 20 },
    { stage: 'llm', startMs: 20, durationMs: 70 },
  ]
  expect(stages.report()).toEqual({
    timings: { sttMs: 20, llmMs: 70, totalMs: 90 },
    waterfall: [stt, { ...llm, unfinished: true }],
  })
  over.resolve()
  await thinking
  expect(stages.report()).toEqual({ timings: { sttMs: 20, llmMs: 70, totalMs: 90 }, waterfall: [stt, llm] })
})

test('of two pieces of a stage that overlap, the one that ends last counts from its own start', async () => {
  const { now, advance } = clockOf()
  const stages = new StageClock(['tts'], now)
  const over = Promise.withResolvers<void>()
  const long = stages.time('tts', () => over.promise)
  advance(30)
  await stages.time('tts', async () => advance(10))
  advance(20)
  expect(stages.waterfall()).toEqual([{ stage: 'tts', startMs: 0, durationMs: 60, unfinished: true }])
  over.resolve()
  await long
  expect(stages.waterfall()).toEqual([{ stage: 'tts', startMs: 0, durationMs: 60 }])
})

test('a mark is the time since the start or since a moment, and only the first counts', () => {
  const { now, advance } = clockOf()
  const stages = new StageClock(['first_audio', 'tts.first_byte'], now)
  advance(30)
  stages.mark('first_audio')
  advance(30)
  stages.mark('first_audio')
  stages.mark('tts.first_byte', 45)
  expect(stages.timings()).toEqual({ firstAudioMs: 30, ttsFirstByteMs: 15, totalMs: 60 })
})

test('a waterfall tells when each stage worked and when none did; short pauses and a hundred pieces do not cut it up', async () => {
  const { now, advance } = clockOf()
  const stages = new StageClock(['llm', 'tts'], now)
  const spend = (ms: number) => async () => advance(ms)
  advance(10)
  for (let piece = 0; piece < 3; piece++) {
    await stages.time('llm', spend(20))
    advance(1)
  }
  await stages.time('tts', spend(7))
  advance(30)
  await stages.time('llm', spend(2))
  expect(stages.waterfall()).toEqual([
    { gap: 'start>llm', startMs: 0, durationMs: 10 },
    { stage: 'llm', startMs: 10, durationMs: 62 },
    { gap: 'llm>tts', startMs: 72, durationMs: 1 },
    { stage: 'tts', startMs: 73, durationMs: 7 },
    { gap: 'tts>llm', startMs: 80, durationMs: 30 },
    { stage: 'llm', startMs: 110, durationMs: 2 },
  ])
  for (let piece = 0; piece < 100; piece++) {
    await stages.time('llm', spend(1))
    advance(10)
  }
  const spans = stages.waterfall().filter((span) => 'stage' in span && span.stage === 'llm')
  expect(spans).toHaveLength(32)
  expect(spans.reduce((end, { startMs, durationMs }) => Math.max(end, startMs + durationMs), 0)).toBe(now() - 10)
})

test('the stages of a waterfall and its gaps cover the whole time, overlaps counted once', async () => {
  const { now, advance } = clockOf()
  advance(1000)
  const stages = new StageClock(['stt', 'llm', 'tts'], now, now() - 7)
  const spend = (ms: number) => async () => advance(ms)
  await stages.time('stt', spend(40))
  advance(13)
  const spoken = Promise.withResolvers<void>()
  await stages.time('llm', async () => {
    advance(20)
    // The voice begins while the model still writes, and ends after it.
    void stages.time('tts', () => spoken.promise)
    advance(30)
  })
  advance(25)
  spoken.resolve()
  await Promise.resolve()
  await Promise.resolve()
  advance(3)
  const waterfall = stages.waterfall()
  expect(waterfall.flatMap((span) => ('gap' in span ? [[span.gap, span.durationMs]] : []))).toEqual([
    ['start>stt', 7],
    ['stt>llm', 13],
    ['tts>end', 3],
  ])
  expect(coveredMs(waterfall)).toBe(stages.timings()['totalMs'])
  expect(stages.timings()['totalMs']).toBe(7 + 40 + 13 + 50 + 25 + 3)
})

/** The length of the union of all spans. */
function coveredMs(waterfall: Waterfall): number {
  let reached = 0
  let covered = 0
  for (const { startMs, durationMs } of waterfall) {
    const end = startMs + durationMs
    covered += Math.max(0, end - Math.max(reached, startMs))
    reached = Math.max(reached, end)
  }
  return covered
}

function clockOf() {
  const clock = new ManualClock()
  return { now: clock.now, advance: (ms: number) => clock.advance(ms) }
}
