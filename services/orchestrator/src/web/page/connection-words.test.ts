import type { ModelStatus } from '@hearth/shared/api'
import { idleStatus } from '@hearth/shared/model-status'
import { expect, test } from 'vitest'
import { areReady, standingOf } from './connection-words.ts'

const model = (id: string, state: ModelStatus['state'], change: Partial<ModelStatus> = {}): ModelStatus => ({
  ...idleStatus(id),
  state,
  ...change,
})

test.each([
  ['open', [model('a', 'ready')], 'ready', 'Ready'],
  ['connecting', [], 'connecting', 'Connecting'],
  ['open', [model('a', 'fetching'), model('b', 'warming')], 'loading', 'Loading a, b'],
  ['open', [model('a', 'loading'), model('b', 'failed')], 'away', 'A model has failed'],
  ['open', [model('a', 'failed', { optional: true })], 'ready', 'Ready'],
  ['open', [model('a', 'idle', { preload: 'lazy' })], 'ready', 'Ready'],
  ['away', [model('a', 'ready')], 'away', 'Offline, typing works'],
  ['elsewhere', [model('a', 'ready')], 'away', 'Goes on in another window'],
] as const)('%s with %j is %s', (connection, models, state, words) => {
  expect(standingOf(connection, models)).toEqual({ state, words })
})

test('what is ready needs no looking again, and an optional model is not waited for', () => {
  expect(areReady([model('a', 'ready'), model('b', 'fetching', { optional: true })])).toBe(true)
  expect(areReady([model('a', 'warming')])).toBe(false)
})
