import { expect, test } from 'vitest'
import type { ModelStatus } from '@hearth/shared/api'
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

test('each model has a row, numbers stand right, and a service names itself once', () => {
  const failed = { ...whisper, id: 'turn', source: null, state: 'failed' as const, loadMs: null, error: 'no file' }
  const table = readyTable([view('stt', [whisper, { ...failed, firstInferenceMs: null }]), view('orchestrator', [])])
  expect(table.split('\n')).toEqual([
    'service       model         source  state   load s  first ms  second ms',
    '------------  ------------  ------  ------  ------  --------  ---------',
    'stt           demo/whisper  demo    ready     1.23      81.3       40.0',
    '              turn          -       failed       -         -       40.0',
    'orchestrator  -             -       ready        -         -          -',
  ])
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
