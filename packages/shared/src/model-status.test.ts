import { describe, expect, test } from 'vitest'
import { type ModelProgress, ModelState } from './api.ts'
import { idleStatus, keepsFailing, NEXT, progressOf, stateInWords, stillLoading } from './model-status.ts'

const status = (progress: ModelProgress | null) =>
  ({ ...idleStatus('whisper-base'), state: 'fetching', progress }) as const
const news = (bytes: number, totalBytes: number, downloadedBytes = bytes) => ({ bytes, totalBytes, downloadedBytes })
const unknown = { bytesPerSecond: null, remainingMs: null }

describe('the table of states', () => {
  test('every state can be left for draining, except the end', () => {
    const stuck = ModelState.options.filter((state) => !NEXT[state].includes('draining'))
    expect(stuck).toEqual(['draining', 'stopped'])
  })

  test('only a model that was warmed gets ready, and only a failed or new one is fetched', () => {
    const leadingTo = (to: ModelState) => ModelState.options.filter((state) => NEXT[state].includes(to))
    expect([leadingTo('ready'), leadingTo('fetching')]).toEqual([['warming'], ['idle', 'failed']])
  })
})

describe('the progress', () => {
  test('has percent of all bytes, and the speed of those that came from the hub since the first news', () => {
    const first = { downloadedBytes: 10, atMs: 1000 }
    expect(progressOf(news(600, 1000, 110), first, 3000)).toEqual({
      bytes: 600,
      totalBytes: 1000,
      downloadedBytes: 110,
      percent: 60,
      bytesPerSecond: 50,
      remainingMs: 8000,
    })
  })

  test('knows no speed before anything came from the hub, however much of the cache was found', () => {
    expect(progressOf(news(50, 100, 0), null, 1000)).toMatchObject({ percent: 50, ...unknown })
    expect(progressOf(news(90, 100, 5), { downloadedBytes: 5, atMs: 0 }, 1000)).toMatchObject(unknown)
    expect(progressOf(news(90, 100, 7), { downloadedBytes: 5, atMs: 1000 }, 1000)).toMatchObject(unknown)
  })

  test('stays within its bounds, whatever the hub said about sizes', () => {
    const first = { downloadedBytes: 0, atMs: 0 }
    expect(progressOf(news(200, 100), first, 1000)).toMatchObject({ percent: 100, remainingMs: 0 })
    expect(progressOf(news(0, 0), null, 0)).toMatchObject({ percent: null, ...unknown })
  })
})

describe('a state in words', () => {
  test('is a download only once bytes have come from the hub', () => {
    const at = (downloadedBytes: number) => status(progressOf(news(50, 100, downloadedBytes), null, 0))
    expect([null, at(0), at(1)].map((one) => stateInWords(one ?? status(null)))).toEqual([
      'finding its files',
      'finding its files',
      'downloading',
    ])
    expect(stateInWords({ ...idleStatus('x'), state: 'warming' })).toBe('warming')
  })
})

describe('the refusal while loading', () => {
  test('tells how far the model is, and when to come back', () => {
    const error = stillLoading(status({ ...progressOf(news(629, 1000), null, 0), remainingMs: 7600 }))
    expect(error).toMatchObject({
      code: 'model_loading',
      status: 503,
      type: 'server_error',
      param: 'model',
      retryAfterMs: 7600,
      message: 'whisper-base is not ready yet (downloading, 62 %, about 8 s left)',
    })
    expect(error.details).toEqual({
      loading: {
        model: 'whisper-base',
        state: 'fetching',
        progress: 62,
        bytes_sent: 629,
        total_bytes: 1000,
        eta_seconds: 8,
      },
    })
  })

  test('leaves out what is not known', () => {
    const error = stillLoading(status(null))
    expect(error).toMatchObject({ message: 'whisper-base is not ready yet (finding its files)', retryAfterMs: 5000 })
    expect(error.details).toEqual({ loading: { model: 'whisper-base', state: 'fetching', progress: null } })
    expect(stillLoading(status(progressOf(news(0, 0), null, 0))).details).toMatchObject({ loading: { progress: null } })
  })

  test('asks nobody back at once, or only after an hour', () => {
    const progress = progressOf(news(1, 2), null, 0)
    const waits = [0, 3_600_000].map((remainingMs) => stillLoading(status({ ...progress, remainingMs })).retryAfterMs)
    expect(waits).toEqual([1000, 30_000])
  })
})

test('a model that keeps failing tells the last error, and that it is tried again', () => {
  const error = keepsFailing({ ...idleStatus('stt'), state: 'failed', error: 'no space' }, 400)
  expect(error).toMatchObject({ code: 'model_failed', status: 503, retryAfterMs: 1000 })
  expect(error.message).toBe("stt can't be used: no space; it is tried again")
})
