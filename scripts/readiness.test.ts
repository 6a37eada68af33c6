import { expect, test } from 'vitest'
import type { ModelStatus, ReadyReport } from '@hearth/shared/api'
import { describeProgress, readReport, untilSettled } from './readiness.ts'
import type { ServiceView } from './readiness.ts'

const model = (part: Partial<ModelStatus>): ModelStatus => ({
  id: 'demo/whisper',
  source: 'demo',
  state: 'ready',
  progress: null,
  loadMs: null,
  firstInferenceMs: null,
  secondInferenceMs: null,
  warning: null,
  error: null,
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

test('waiting ends when it is aborted', async () => {
  const stop = new AbortController()
  const look = async () => {
    stop.abort(new Error('Ctrl-C'))
    return [view({})]
  }
  await expect(untilSettled(look, () => undefined, stop.signal)).rejects.toThrow('Ctrl-C')
})

test('a service that does not answer has no report', async () => {
  expect(await readReport('http://127.0.0.1:1', neverAborted)).toBeNull()
})

test('progress tells bytes while fetching, in steps, and the state otherwise', () => {
  const fetching = report({ state: 'fetching', progress: { bytes: 47.9 * 2 ** 20, totalBytes: 100 * 2 ** 20 } })
  const views = [
    view({ name: 'stt', report: fetching }),
    view({ name: 'tts', report: report({ state: 'warming' }) }),
    view({ name: 'embeddings' }),
    view({ name: 'orchestrator', report: report({}) }),
    view({ name: 'other', isDown: true }),
  ]
  expect(describeProgress(views, 1)).toBe(
    'stt fetching 47% of 100 MiB · tts warming · embeddings starting · orchestrator ready · other down',
  )
  expect(describeProgress(views.slice(0, 1), 10)).toBe('stt fetching 40% of 100 MiB')
})
