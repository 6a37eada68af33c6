import { describe, expect, test } from 'vitest'
import type { BootEntry } from './api.ts'
import { judgeLastStart } from './boot-verdict.ts'

const DAY_MS = 86_400_000

const start = (day: number, change: Partial<BootEntry> = {}): BootEntry => ({
  startedAt: new Date(day * DAY_MS).toISOString(),
  bytes: 290e6,
  downloadedBytes: 0,
  fetchMs: 100,
  loadMs: 2500,
  warmUpMs: 400,
  readyMs: 3000,
  residentBytesBefore: 90e6,
  residentBytesAfter: 600e6,
  service: 'stt',
  model: 'onnx-community/whisper-base',
  source: 'cache',
  firstInferenceMs: 1,
  secondInferenceMs: 1,
  release: 'a',
  machineUpSeconds: 100 * 86_400,
  load: 1,
  ...change,
})

const usual = [start(1), start(2), start(3)]
const slow = (change: Partial<BootEntry> = {}) => judgeLastStart([...usual, start(4, { readyMs: 9000, ...change })])

describe('the last start', () => {
  test('is told with its time, and compared with those before it', () => {
    expect(judgeLastStart([])).toMatchObject({ status: 'skipped' })
    expect(judgeLastStart([start(1)])).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/^took 3\.0 s; there is none before/),
    })
    expect(judgeLastStart(usual)).toMatchObject({ status: 'ok', detail: 'took 3.0 s, usually 3.0 s' })
  })

  test('is slow by half of the usual time and by a second', () => {
    const judged = (readyMs: number, usually: number) =>
      judgeLastStart([start(1, { readyMs: usually }), start(2, { readyMs })]).status
    expect([judged(4400, 3000), judged(4500, 3000), judged(900, 100), judged(3900, 3000)]).toEqual([
      'ok',
      'warning',
      'ok',
      'ok',
    ])
  })

  test.each([
    [
      { downloadedBytes: 290e6, fetchMs: 6000 },
      '290 MB were downloaded in 6.0 s; finding the files took 6.0 s instead of 0.1 s',
    ],
    [{ model: 'openai/other' }, 'another model than before (openai/other after onnx-community/whisper-base)'],
    [{ release: 'b', loadMs: 8000 }, 'the first start after an update; loading took 8.0 s instead of 2.5 s'],
    [{ machineUpSeconds: 3600 }, 'the first start since the machine was started'],
    [{ load: 7.2 }, 'the machine was busy (load 7.2, usually 1.0)'],
    [{ warmUpMs: 6400 }, 'usually 3.0 s: warm-up took 6.4 s instead of 0.4 s'],
  ])('that was slow says why: %j', (change, why) => {
    const verdict = slow(change)
    expect(verdict).toMatchObject({ status: 'warning', detail: expect.stringContaining(why) })
    expect(verdict.detail).toMatch(/^took 9\.0 s, usually 3\.0 s: /)
    expect(verdict.remedy).not.toBe('')
  })
})
