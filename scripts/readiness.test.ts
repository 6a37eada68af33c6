import { expect, test } from 'vitest'
import type { ModelStatus, ReadyReport } from '@hearth/shared/api'
import { idleStatus, progressOf } from '@hearth/shared/model-status'
import { describeProgress, drawProgress, readReport, untilSettled, untilWarm } from './readiness.ts'
import type { ServiceView } from './readiness.ts'
import { readyTable } from './table.ts'

const model = (part: Partial<ModelStatus>): ModelStatus => ({
  ...idleStatus('demo/whisper'),
  source: 'demo',
  state: 'ready',
  ...part,
})

const report = (part: Partial<ModelStatus>): ReadyReport => {
  const status = model(part)
  return { service: 'stt', ready: status.state === 'ready', models: [status] }
}

const view = (part: Partial<ServiceView>): ServiceView => ({ name: 'stt', report: null, isDown: false, ...part })

const neverAborted = new AbortController().signal

test('waiting ends in the round in which the last service is ready, failed or down', async () => {
  const half = { ...report({ state: 'loading' }), ready: false }
  const rounds = [
    [view({ report: { ...half, models: [...half.models, model({ state: 'failed', optional: true })] } })],
    [view({}), view({ report: report({ state: 'fetching' }) }), view({ report: report({}) })],
    [view({ isDown: true }), view({ report: report({ state: 'loading' }) }), view({ report: report({}) })],
    [view({ isDown: true }), view({ report: report({ state: 'failed' }) }), view({ report: report({}) })],
    [],
  ]
  let round = 0
  const seen: number[] = []
  const look = async () => rounds[round++] ?? []
  const views = await untilSettled(
    look,
    (found) => seen.push(found.length),
    neverAborted,
    async () => undefined,
  )
  expect(views).toBe(rounds[3])
  expect(seen).toEqual([1, 3, 3, 3])
})

test('nobody waits for a model that comes with the first request or behind the requests', async () => {
  const coming = (part: Partial<ModelStatus>) => view({ report: { ...report(part), ready: true } })
  const views = [coming({ state: 'idle', preload: 'lazy' }), coming({ state: 'fetching', preload: 'background' })]
  const wait = () => Promise.reject(new Error('waits'))
  expect(
    await untilSettled(
      async () => views,
      () => undefined,
      neverAborted,
      wait,
    ),
  ).toBe(views)
  expect(readyTable(views)).toMatch(/ idle .*\n.* fetching /)
})

test('waiting ends when it is aborted', async () => {
  const stop = new AbortController()
  const look = async () => {
    stop.abort(new Error('Ctrl-C'))
    return [view({})]
  }
  await expect(untilSettled(look, () => undefined, stop.signal)).rejects.toThrow('Ctrl-C')
})

test('the wait for what is warmed behind ready ends when nothing is, or at its limit', async () => {
  const rounds = [
    [view({ report: report({ warming: true }) }), view({ isDown: true })],
    [view({ report: report({ warming: false }) }), view({ report: report({ state: 'failed' }) })],
  ]
  let round = 0
  const wait = async () => void round++
  expect(await untilWarm(async () => rounds[round] ?? [], neverAborted, { wait })).toBe(rounds[1])
  expect(await untilWarm(async () => rounds[0] ?? [], neverAborted, { wait, limitMs: 0 })).toBe(rounds[0])
})

test('a service that does not answer has no report', async () => {
  expect(await readReport('http://127.0.0.1:1', neverAborted)).toBeNull()
})

const news = { bytes: 47_900_000, totalBytes: 100_000_000, downloadedBytes: 20_000_000 }
const progress = progressOf(news, { bytes: 10_000_000, atMs: 0 }, 5000)
const views = [
  view({ name: 'stt', report: report({ state: 'fetching', progress }) }),
  view({ name: 'tts', report: report({ state: 'warming' }) }),
  view({ name: 'embeddings' }),
  view({ name: 'orchestrator', report: report({}) }),
  view({ name: 'other', isDown: true }),
]

test('in a file progress is one line of all services, with the download in fourths', () => {
  expect(describeProgress(views)).toBe(
    'stt downloading, 25 % of 100 MB · tts warming · embeddings starting · orchestrator ready · other down',
  )
})

test('on a terminal each service that is not ready has a line, and a download a bar', () => {
  expect(drawProgress(views).split('\n')).toEqual([
    'stt         downloading  [###########-------------]   47 %  48 MB of 100 MB  2.0 MB/s  27 s left',
    'tts         warming',
    'embeddings  starting',
    'other       down',
  ])
})

test('files that are looked for on the disk are no download', () => {
  const found = progressOf({ bytes: 50, totalBytes: 100, downloadedBytes: 0 }, null, 0)
  const reading = [null, found].map((one) => view({ report: report({ state: 'fetching', progress: one }) }))
  for (const text of [describeProgress(reading), drawProgress(reading)]) {
    expect(text).toContain('finding its files')
    expect(text).not.toMatch(/download|fetch/)
  }
})
