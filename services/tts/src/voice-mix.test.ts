import { AppError } from '@hearth/shared/errors'
import { expect, test } from 'vitest'
import { chooseVoice, mixKey } from './voice-mix.ts'

const known = { voices: ['af_bella', 'af_sky', 'am_onyx', 'bf_emma'], defaultVoice: 'af_sky' }

const codeOf = (name: string): unknown => {
  try {
    return chooseVoice(name, known)
  } catch (error) {
    return error instanceof AppError ? error.code : error
  }
}

test.each([
  ['af_bella', [['af_bella', 1]]],
  ['onyx', [['am_onyx', 1]]],
  [undefined, [['af_sky', 1]]],
  ['af_bella(2)', [['af_bella', 1]]],
  [
    'af_bella(3)+af_sky(1)',
    [
      ['af_bella', 0.75],
      ['af_sky', 0.25],
    ],
  ],
  [
    'bf_emma + onyx',
    [
      ['bf_emma', 0.5],
      ['am_onyx', 0.5],
    ],
  ],
  [
    'af_bella(.5)+af_sky(1.5)',
    [
      ['af_bella', 0.25],
      ['af_sky', 0.75],
    ],
  ],
  [
    'af_bella+af_sky+af_bella+af_bella',
    [
      ['af_bella', 0.75],
      ['af_sky', 0.25],
    ],
  ],
])('%j is spoken by its voices, whose shares add up to one', (name, expected) => {
  expect(chooseVoice(name, known).map(({ voice, share }) => [voice, share])).toEqual(expected)
})

test.each([
  'af_bella(2',
  'af_bella)',
  '(2)',
  '+',
  'af_bella+',
  '+af_sky',
  'af_bella(2)(3)',
  'af_bella(0)+af_sky',
  'af_bella(-1)+af_sky',
  'af_bella(NaN)',
  'af_bella(1e9)',
  'af_bella(101)',
  'af_bella(1)af_sky(2)',
  'af_bella(1) af_sky(2)',
  'af_bella+'.repeat(10_000),
])('%.30j is a mix that nobody can read', (name) => {
  expect(codeOf(name)).toBe('invalid_request')
})

test.each(['nobody', 'nobody(2)', 'af_bella+nobody', '__proto__(1)+af_bella', '../../x'])(
  '%j names a voice that is not there',
  (name) => {
    expect(codeOf(name)).toBe('voice_not_found')
  },
)

test('the same mix is known by the same text, and another by another', () => {
  const key = (name: string) => mixKey(chooseVoice(name, known))
  expect(key('af_bella(2)+af_sky(2)')).toBe(key('af_bella+af_sky'))
  expect(key('af_bella(2)+af_sky(1)')).not.toBe(key('af_bella+af_sky'))
})
