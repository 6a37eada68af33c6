import { expect, test } from 'vitest'
import { diagnose, ok, placeOf, reportOf, warning } from './doctor.ts'
import { AppError } from './errors.ts'

const hangs = () => new Promise<never>(() => undefined)

test('checks run side by side, and one that hangs or breaks is a finding like the others', async () => {
  const broken = () => {
    throw new AppError('engine_failed', 'redis://:password@host')
  }
  const findings = await diagnose(
    'stt',
    [
      { name: 'good', run: () => ok('fine') },
      { name: 'hangs', run: hangs },
      { name: 'hangs too', run: hangs },
      { name: 'breaks', run: broken },
    ],
    20,
  )
  expect(findings).toEqual([
    { service: 'stt', check: 'good', status: 'ok', detail: 'fine', remedy: null },
    expect.objectContaining({ check: 'hangs', status: 'warning', detail: 'not known: no result within 0.02 s' }),
    expect.objectContaining({ check: 'hangs too', status: 'warning' }),
    expect.objectContaining({ check: 'breaks', status: 'failed', detail: 'could not be checked (engine_failed)' }),
  ])
  expect(JSON.stringify(findings)).not.toContain('password')
})

test('a report is as bad as its worst finding', async () => {
  const of = (...names: ('ok' | 'warning' | 'failed' | 'skipped')[]) =>
    reportOf(names.map((status) => ({ service: 'x', check: 'y', status, detail: '', remedy: null }))).status
  expect([of(), of('skipped'), of('ok', 'skipped'), of('ok', 'warning'), of('failed', 'warning')]).toEqual([
    'ok',
    'ok',
    'ok',
    'warning',
    'failed',
  ])
  expect(warning('a', 'b')).toEqual({ status: 'warning', detail: 'a', remedy: 'b' })
})

test('a place has no user and no password', () => {
  expect([placeOf('redis://user:secret@host:6379/1'), placeOf('http://host')]).toEqual(['host:6379', 'host'])
  expect(placeOf('no address')).not.toContain('no address')
})
