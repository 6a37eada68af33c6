import { expect, test } from 'vitest'
import { createMetrics, StageClock } from './telemetry.ts'
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
  expect(stages.serverTiming()).toBe('stt;dur=20, llm;dur=3, tts;dur=12, total;dur=35')
})

test('a mark is the time since the start, and only the first counts', () => {
  const { now, advance } = clockOf()
  const stages = new StageClock(['firstAudio'], now)
  advance(30)
  stages.mark('firstAudio')
  advance(30)
  stages.mark('firstAudio')
  expect(stages.timings()).toEqual({ firstAudioMs: 30, totalMs: 60 })
})

test('metrics have registries of their own and say which state a model is in', async () => {
  const [one, other] = [createMetrics('one'), createMetrics('other')]
  one.setModelState('stt', 'warming', 'ready')
  one.observeBatch('stt', { batchSize: 3, inferenceMs: 20, queueMs: [1, 2, 3] })
  const text = await one.registry.metrics()
  expect(text).toContain('hearth_model_state{model="stt",state="ready",service="one"} 1')
  expect(text).toContain('hearth_queue_duration_seconds_count{service="one",model="stt"} 3')
  expect(text).toMatch(/hearth_event_loop_delay_max_seconds\{service="one"\} \d/)
  expect(await other.registry.metrics()).not.toContain('state="ready"')
})

function clockOf() {
  const clock = new ManualClock()
  return { now: clock.now, advance: (ms: number) => clock.advance(ms) }
}
