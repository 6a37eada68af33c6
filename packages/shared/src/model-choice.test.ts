import { describe, expect, test } from 'vitest'
import { ModelChoices, ModelReference, unknownModel } from './model-choice.ts'

const own = { id: 'org/first', revision: 'main', demo: 'tiny' }

describe('what a service may hold', () => {
  test('is its own model and the demo, unless others are listed', () => {
    expect(new ModelChoices(own).all).toEqual([
      { id: 'org/first', revision: 'main', isDemo: false, mayTakeTurns: true },
      { id: 'demo/tiny', revision: '', isDemo: true, mayTakeTurns: false },
    ])
  })

  test('is found by id or by id and revision, and by nothing else', () => {
    const choices = new ModelChoices(own, ['org/second', 'org/first@v2'])
    expect(choices.find('org/second')).toMatchObject({ id: 'org/second', revision: 'main', mayTakeTurns: true })
    expect(choices.find('org/first')).toBe(choices.configured)
    expect(choices.find('org/first@v2')).toMatchObject({ id: 'org/first', revision: 'v2' })
    expect(['org/second@v9', 'org', 'ORG/SECOND', '', '../org/second'].map((name) => choices.find(name))).toEqual(
      Array.from({ length: 5 }),
    )
  })

  test('may be the demo too, and its own model once', () => {
    const choices = new ModelChoices(own, ['demo/tiny', 'org/first@main'])
    expect(choices.all.map(({ id, mayTakeTurns }) => [id, mayTakeTurns])).toEqual([
      ['org/first', true],
      ['demo/tiny', true],
    ])
  })
})

test.each([
  '../../etc/passwd',
  'org/../x',
  '/abs/path',
  'org/model/extra',
  'https://evil.example/org/model',
  'evil.example:80/x',
  'org\\model',
  'org/mo%2fdel',
  'org/model@../../x',
  'org/model@/abs',
  'org/model@',
  'org/model@a@b',
  '.hidden/x',
  'org/a..b',
  'org/a--b',
  'org/--x',
  `org/${'x'.repeat(100)}`,
  'org/mödel',
  'org/model ',
])('%s is no reference to a model', (text) => {
  expect(ModelReference.safeParse(text).success).toBe(false)
})

test.each(['whisper', 'org/model', 'org/model.v2-x_y', 'org/model@refs/pr/1', 'org/model@v1.0'])(
  '%s is one',
  (text) => {
    expect(ModelReference.safeParse(text).success).toBe(true)
  },
)

test('a name that is none is not repeated', () => {
  expect(unknownModel('org/x').message).toBe('The model `org/x` does not exist')
  expect(unknownModel('<script>').message).toBe('The model of that name does not exist')
})
