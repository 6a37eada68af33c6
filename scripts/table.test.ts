import { expect, test } from 'vitest'
import type { BootEntry, BootReport, ModelStatus } from '@hearth/shared/api'
import type { ServiceView } from './readiness.ts'
import { notes, readyTable } from './table.ts'

const whisper: ModelStatus = {
  id: 'demo/whisper',
  source: 'demo',
  state: 'ready',
  progress: null,
  loadMs: 1234,
  firstInferenceMs: 81.26,
  secondInferenceMs: 40,
  warning: 'demo model',
  error: null,
}

const view = (name: string, models: ModelStatus[], isDown = false): ServiceView => ({
  name,
  isDown,
  report: isDown ? null : { service: name, ready: models.every((model) => model.state === 'ready'), models },
})

const boot: BootReport = {
  startedAt: '2026-01-01T00:00:00.000Z',
  bytes: 4_900_000,
  downloadedBytes: 0,
  fetchMs: 12,
  loadMs: 1234,
  warmUpMs: 300,
  readyMs: 1546,
  residentBytesBefore: 90_000_000,
  residentBytesAfter: 160_400_000,
}

test('each model has a row, numbers stand right, and a service names itself once', () => {
  const failed = { ...whisper, id: 'turn', source: null, state: 'failed' as const, error: 'no file' }
  const warm = { ...whisper, boot }
  const table = readyTable([view('stt', [warm, { ...failed, firstInferenceMs: null }]), view('orchestrator', [])])
  expect(table.split('\n')).toEqual([
    'service       model         source  state     size  files s  load s  warm-up s  first ms  second ms          memory',
    '------------  ------------  ------  ------  ------  -------  ------  ---------  --------  ---------  --------------',
    'stt           demo/whisper  demo    ready   4.9 MB     0.01    1.23       0.30      81.3       40.0  90 MB > 160 MB',
    '              turn          -       failed       -        -       -          -         -       40.0               -',
    'orchestrator  -             -       ready        -        -       -          -         -          -               -',
  ])
})

test('a model that can be asked while what is around it is still warmed says so', () => {
  const table = readyTable([view('stt', [{ ...whisper, warming: true, secondInferenceMs: null, boot }])])
  expect(table.split('\n')[2]).toMatch(/^stt {6}demo\/whisper {2}demo {4}ready, warming .* 81\.3 +- /)
})

test('a download is told with its bytes and seconds, and what lay in the cache is not called one', () => {
  const fromHub = { ...whisper, source: 'hub' as const, boot: { ...boot, downloadedBytes: 4_900_000, fetchMs: 9800 } }
  expect(notes([view('stt', [fromHub])])).toEqual(['stt downloaded 4.9 MB in 9.8 s.'])
  expect(notes([view('stt', [{ ...whisper, source: 'cache', boot }])])).toEqual([])
})

test('a start that was slower than those before it says why', () => {
  const entry = {
    ...boot,
    service: 'stt',
    model: 'demo/whisper',
    source: 'demo',
    firstInferenceMs: 1,
    secondInferenceMs: 1,
  }
  const first: BootEntry = { ...entry, source: 'demo', release: 'a', machineUpSeconds: 1e6, load: 1 }
  const told = (readyMs: number, models: ModelStatus[]) => {
    const boots = [first, { ...first, startedAt: '2026-01-02T00:00:00.000Z', readyMs, loadMs: 8900 }]
    return notes([{ name: 'stt', isDown: false, report: { service: 'stt', ready: true, models, boots } }])
  }
  const started = { ...whisper, source: 'cache' as const, boot: { ...boot, startedAt: '2026-01-02T00:00:00.000Z' } }
  expect(told(9212, [started])).toEqual([
    'The start of stt took 9.2 s, usually 1.5 s: loading took 8.9 s instead of 1.2 s.',
  ])
  expect(told(1600, [started])).toEqual([])
  const { boot: _, ...unasked } = started
  expect(told(9212, [{ ...unasked, state: 'idle' }])).toEqual([])
})

test('a service that keeps dying has a row that says so', () => {
  expect(readyTable([view('tts', [], true)])).toContain('tts      -      -       down')
})

test('demo models are told in one line, failures in one line each', () => {
  const failed = { ...whisper, source: 'hub' as const, state: 'failed' as const, error: 'damaged file' }
  expect(notes([view('stt', [whisper]), view('tts', [whisper]), view('embeddings', [failed])])).toEqual([
    'stt, tts run their small demo model: the hub was not asked or not reached. Skills: models/README.md',
    'embeddings: damaged file',
  ])
  expect(notes([view('stt', [{ ...whisper, source: 'cache' }])])).toEqual([])
})
