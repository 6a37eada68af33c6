import { describe, expect, test } from 'vitest'
import { type DownloadProgress, ModelState } from './api.ts'
import {
  idleStatus,
  keepsFailing,
  milestoneOf,
  NEXT,
  remainingMs,
  stateInWords,
  stillLoading,
  withRate,
} from './model-status.ts'

const status = (progress: DownloadProgress | null) =>
  ({ ...idleStatus('whisper-base'), state: 'fetching', progress }) as const
const news = (bytes: number, totalBytes: number, downloadedBytes = bytes) => ({ bytes, totalBytes, downloadedBytes })

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

describe('the time that is left', () => {
  test('follows the speed since the first news, so that bytes of an earlier attempt do not count', () => {
    expect(remainingMs(news(60, 100, 20), { bytes: 10, atMs: 1000 }, 2000)).toBe(4000)
    expect(remainingMs({ bytes: 60, totalBytes: 100 }, { bytes: 50, atMs: 1000 }, 2000)).toBe(4000)
  })

  test('is unknown before anything moved', () => {
    expect(remainingMs(null, null, 0)).toBeNull()
    expect(remainingMs(news(50, 100), { bytes: 50, atMs: 0 }, 1000)).toBeNull()
  })

  test('is never negative, whatever the hub said about sizes', () => {
    expect(remainingMs(news(200, 100), { bytes: 0, atMs: 0 }, 1000)).toBe(0)
  })
})

describe('the progress', () => {
  test('has percent of all bytes, and the speed of those that came from the hub since the first news', () => {
    const known = { percent: 60, bytesPerSecond: 50, secondsLeft: 8 }
    expect(withRate(news(600, 1000, 110), { bytes: 10, atMs: 1000 }, 3000)).toEqual({
      ...news(600, 1000, 110),
      ...known,
    })
  })

  test('knows no speed before anything came from the hub, however much of the cache was found', () => {
    expect(milestoneOf(news(50, 100, 0), 7)).toBeNull()
    expect(withRate(news(50, 100, 0), null, 1000)).toEqual({ ...news(50, 100, 0), percent: 50 })
    const first = milestoneOf(news(90, 100, 5), 7)
    expect(first).toEqual({ bytes: 5, atMs: 7 })
    expect(withRate(news(90, 100, 5), first, 1000)).not.toHaveProperty('bytesPerSecond')
    expect(withRate(news(90, 100, 7), first, 7)).not.toHaveProperty('bytesPerSecond')
  })

  test('stays within its bounds, whatever the hub said about sizes', () => {
    expect(withRate(news(200, 100), { bytes: 0, atMs: 0 }, 1000)).toMatchObject({ percent: 100, secondsLeft: 0 })
    expect(withRate(news(0, 0), null, 0)).toEqual(news(0, 0))
  })
})

describe('a state in words', () => {
  test('is a download only once bytes have come from the hub', () => {
    const at = (downloadedBytes: number) => status(news(50, 100, downloadedBytes))
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
    const error = stillLoading(status(news(629, 1000)), 7600)
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
    const error = stillLoading(status(null), null)
    expect(error).toMatchObject({ message: 'whisper-base is not ready yet (finding its files)', retryAfterMs: 5000 })
    expect(error.details).toEqual({ loading: { model: 'whisper-base', state: 'fetching', progress: null } })
    expect(stillLoading(status(news(0, 0)), null).details).toMatchObject({ loading: { progress: null } })
  })

  test('asks nobody back at once, or only after an hour', () => {
    const waits = [0, 3_600_000].map((ms) => stillLoading(status(null), ms).retryAfterMs)
    expect(waits).toEqual([1000, 30_000])
  })
})

test('a model that keeps failing tells the last error, and that it is tried again', () => {
  const error = keepsFailing({ ...idleStatus('stt'), state: 'failed', error: 'no space' }, 400)
  expect(error).toMatchObject({ code: 'model_failed', status: 503, retryAfterMs: 1000 })
  expect(error.message).toBe("stt can't be used: no space; it is tried again")
})
