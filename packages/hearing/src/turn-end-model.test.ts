import { AppError } from '@hearth/shared/errors'
import { readyModel } from '@hearth/shared/testing/model-status'
import { abortListeners, ManualClock, never } from '@hearth/shared/testing/signals'
import { expect, test, vi } from 'vitest'
import { createJudge } from './turn-end-model.ts'
import type { JudgeOptions } from './turn-end-model.ts'

type Submit = JudgeOptions['model']['submit']
const answered = async () => ({ output: 0.8, queueMs: 0, inferenceMs: 1, batchSize: 1, model: 'demo/turn' })
const hangs: Submit = (_, signal) =>
  new Promise((_done, fail) => signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true }))
const sound = new Float32Array(512)

function setUp(submit: Submit = answered) {
  const clock = new ManualClock()
  const log = { info: vi.fn<() => void>(), warn: vi.fn<() => void>() }
  const model = { status: readyModel('demo/turn'), submit: vi.fn<Submit>(submit) }
  return { clock, log, model, judge: createJudge({ model, log, setTimer: clock.setTimer }) }
}

test('the model’s probability is what is said, and nothing stays behind', async () => {
  const { judge, clock, log, model } = setUp()
  const { signal } = new AbortController()
  await expect(judge(sound, signal)).resolves.toBe(0.8)
  expect(model.submit.mock.calls[0]?.[0]).toEqual({ samples: sound })
  expect(clock.pending).toEqual([])
  expect(abortListeners(signal)).toBe(0)
  expect(log.warn).not.toHaveBeenCalled()
})

test('a model that is slow, loading or broken has no opinion; the log says so once, and once when it is back', async () => {
  const { judge, clock, log, model } = setUp(hangs)
  const slow = judge(sound, never)
  clock.advance(299)
  expect(clock.pending).toEqual([1])
  clock.advance(1)
  await expect(slow).resolves.toBeNull()

  model.status = { ...model.status, state: 'loading' }
  await expect(judge(sound, never)).resolves.toBeNull()
  expect(model.submit).toHaveBeenCalledOnce()

  model.status = { ...model.status, state: 'ready' }
  model.submit.mockRejectedValueOnce(new AppError('engine_failed', 'broken'))
  await expect(judge(sound, never)).resolves.toBeNull()
  expect(log.warn).toHaveBeenCalledOnce()

  model.submit.mockImplementation(answered)
  await expect(judge(sound, never)).resolves.toBe(0.8)
  await judge(sound, never)
  expect(log.info).toHaveBeenCalledOnce()
})

test('who leaves gets the reason, not an opinion', async () => {
  const { judge, log } = setUp(hangs)
  const leaving = new AbortController()
  const asked = judge(sound, leaving.signal)
  leaving.abort(new Error('gone'))
  await expect(asked).rejects.toThrow('gone')
  await expect(judge(sound, leaving.signal)).rejects.toThrow('gone')
  expect(log.warn).not.toHaveBeenCalled()
})
