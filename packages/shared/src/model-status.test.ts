import { describe, expect, test } from 'vitest'
import { ModelState } from './api.ts'
import {
  type FetchProgress,
  idleStatus,
  isServing,
  keepsFailing,
  loadingOf,
  type Milestone,
  milestoneOf,
  NEXT,
  progressOf,
  stateInWords,
  stillLoading,
} from './model-status.ts'

/** While its files come: `news` a second after `first`. */
const status = (news: FetchProgress | null, first: Milestone | null = null) =>
  ({ ...idleStatus('whisper-base'), state: 'fetching', progress: news && progressOf(news, first, 1000) }) as const

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

describe('the progress of a download', () => {
  const unknown = { bytesPerSecond: null, remainingMs: null }

  test('has percent of all bytes, and the speed of those that came from the hub since the first news', () => {
    const news = { bytes: 600, totalBytes: 1000, downloadedBytes: 110 }
    expect(progressOf(news, { bytes: 10, atMs: 1000 }, 3000)).toEqual({
      ...news,
      percent: 60,
      bytesPerSecond: 50,
      remainingMs: 8000,
    })
    const plain = { bytes: 60, totalBytes: 100 }
    expect(progressOf(plain, { bytes: 50, atMs: 1000 }, 2000)).toMatchObject({ bytesPerSecond: 10, remainingMs: 4000 })
  })

  test('knows no speed before anything moved', () => {
    const news = { bytes: 50, totalBytes: 100 }
    expect(progressOf(news, null, 0)).toEqual({ ...news, percent: 50, ...unknown })
    expect(progressOf(news, { bytes: 50, atMs: 0 }, 1000)).toMatchObject(unknown)
    expect(progressOf({ bytes: 0, totalBytes: 0 }, null, 0)).toMatchObject({ percent: null })
  })

  test('begins with the first byte that came from the hub, however much of the cache was found', () => {
    const news = (bytes: number, downloadedBytes: number) => ({ bytes, totalBytes: 100, downloadedBytes })
    expect(milestoneOf(news(50, 0), 7)).toBeNull()
    const first = milestoneOf(news(90, 5), 7)
    expect(first).toEqual({ bytes: 5, atMs: 7 })
    expect(progressOf(news(90, 5), first, 1000)).toMatchObject(unknown)
    expect(progressOf(news(90, 7), first, 7)).toMatchObject(unknown)
  })

  test('is never beyond its end, whatever the hub said about sizes', () => {
    const past = progressOf({ bytes: 200, totalBytes: 100 }, { bytes: 0, atMs: 0 }, 1000)
    expect(past).toMatchObject({ percent: 100, remainingMs: 0 })
  })
})

describe('a state in words', () => {
  test('is a download only once bytes have come from the hub', () => {
    const at = (downloadedBytes: number) => status({ bytes: 50, totalBytes: 100, downloadedBytes })
    expect([status(null), at(0), at(1)].map(stateInWords)).toEqual([
      'finding its files',
      'finding its files',
      'downloading',
    ])
    expect(stateInWords({ ...idleStatus('x'), state: 'warming' })).toBe('warming')
  })
})

describe('requests may be sent', () => {
  const serving = (change: object) => isServing({ ...idleStatus('stt'), ...change })

  test('to a warm model, whatever the policy', () => {
    expect(['eager', 'background', 'lazy', undefined].map((preload) => serving({ state: 'ready', preload }))).toEqual([
      true,
      true,
      true,
      true,
    ])
  })

  test('to one that comes behind them, but not to one that they would have to wait for', () => {
    const states = ['idle', 'fetching', 'loading', 'warming'] as const
    for (const state of states) {
      expect(serving({ state, preload: 'background' })).toBe(true)
      expect(serving({ state, preload: 'lazy' })).toBe(true)
      expect(serving({ state, preload: 'eager' })).toBe(false)
    }
  })

  test('not after a failure until it is mended, nor at the end', () => {
    for (const preload of ['background', 'lazy'])
      for (const change of [
        { state: 'failed', error: 'away' },
        { state: 'fetching', error: 'away' },
        { state: 'draining' },
        { state: 'stopped' },
      ])
        expect(serving({ preload, ...change })).toBe(false)
  })
})

test("how far a model is, in LocalAI's field names", () => {
  const news = { bytes: 150, totalBytes: 300, files: { done: 1, total: 3 } }
  expect(loadingOf(status(news, { bytes: 100, atMs: 0 }))).toEqual({
    model: 'whisper-base',
    state: 'fetching',
    progress: 50,
    bytes_sent: 150,
    total_bytes: 300,
    file_index: 2,
    total_files: 3,
    bytes_per_second: 50,
    eta_seconds: 3,
  })
  const whole = { bytes: 300, totalBytes: 300, files: { done: 3, total: 3 } }
  expect(loadingOf(status(whole))).toMatchObject({ file_index: 3, total_files: 3 })
})

describe('the refusal while loading', () => {
  test('tells how far the model is, and when to come back', () => {
    const error = stillLoading(status({ bytes: 620, totalBytes: 1000 }, { bytes: 570, atMs: 0 }))
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
        bytes_sent: 620,
        total_bytes: 1000,
        bytes_per_second: 50,
        eta_seconds: 8,
      },
    })
  })

  test('leaves out what is not known', () => {
    const error = stillLoading(status(null))
    expect(error).toMatchObject({ message: 'whisper-base is not ready yet (finding its files)', retryAfterMs: 5000 })
    expect(error.details).toEqual({ loading: { model: 'whisper-base', state: 'fetching', progress: null } })
    expect(stillLoading(status({ bytes: 0, totalBytes: 0 })).details).toMatchObject({
      loading: { progress: null },
    })
  })

  test('comes with the time of the next attempt after a failure', () => {
    expect(stillLoading({ ...status(null), state: 'failed', retryInMs: 2345 }).retryAfterMs).toBe(2345)
  })

  test('asks nobody back at once, or only after an hour', () => {
    const waits = [999, 1].map(
      (bytes) => stillLoading(status({ bytes, totalBytes: 1000 }, { bytes: 0, atMs: 0 })).retryAfterMs,
    )
    expect(waits).toEqual([1000, 30_000])
  })
})

test('a model that keeps failing tells the last error, and that it is tried again', () => {
  const error = keepsFailing({ ...idleStatus('stt'), state: 'failed', error: 'no space', retryInMs: 7400 })
  expect(error).toMatchObject({ code: 'model_failed', status: 503, retryAfterMs: 7400 })
  expect(error.message).toBe("stt can't be used: no space; it is tried again")
})
