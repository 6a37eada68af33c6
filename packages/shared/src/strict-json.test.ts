import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { AppError } from './errors.ts'
import { parseStrictJson } from './strict-json.ts'

const thrownBy = (text: string): unknown => {
  try {
    parseStrictJson(text)
  } catch (error) {
    return error
  }
  return undefined
}
const codeOf = (text: string): string => {
  const error = thrownBy(text)
  return error instanceof AppError ? error.code : String(error)
}
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

test.each([
  '{}',
  '[]',
  '"a"',
  '0',
  ' null ',
  '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
  '["a","a"]',
  '{"a":"a","b":"a"}',
  '{"a,{\\"a":1,"a":2}',
  '{"\\\\":1,"\\\\\\"":2,"a":"\\\\"}',
  '{"[[[":"{{{\\"{{{"}',
  '{"emoji":"\\ud83d\\ude00"}',
  '{"constructor":1,"toString":2}',
  nested(100),
])('%s is what JSON.parse makes of it', (text) => {
  expect(parseStrictJson(text)).toEqual(JSON.parse(text))
})

test.each([
  ['nothing', '', 'invalid_json'],
  ['a cut object', '{"a":1', 'invalid_json'],
  ['a cut string', '{"a', 'invalid_json'],
  ['a trailing comma', '{"a":1,}', 'invalid_json'],
  ['NaN', '{"a":NaN}', 'invalid_json'],
  ['single quotes', "{'a':1}", 'invalid_json'],
  ['a bad escape in a key', '{"\\x":1}', 'invalid_json'],
  ['brackets that do not match', '{"a":1]', 'invalid_json'],
  ['only closing brackets', ']]]]', 'invalid_json'],
  ['depth 101', nested(101), 'invalid_json'],
  ['depth 101 in objects', `${'{"a":'.repeat(101)}1${'}'.repeat(101)}`, 'invalid_json'],
  ['depth 1,000,000', nested(1_000_000), 'invalid_json'],
  ['a key twice', '{"a":1,"b":2,"a":3}', 'duplicate_field'],
  ['a key twice, once escaped', '{"a":1,"\\u0061":2}', 'duplicate_field'],
  ['a key twice inside', '[{"a":[1,{"b":1,"b":2}]}]', 'duplicate_field'],
  ['a key twice around a list', '{"a":[1,2],"a":3}', 'duplicate_field'],
  ['__proto__', '{"__proto__":{"a":1}}', 'unknown_field'],
  ['__proto__, escaped', '{"\\u005f_proto__":{"a":1}}', 'unknown_field'],
  ['half a surrogate pair', '{"a":"\\ud800"}', 'invalid_encoding'],
  ['the other half', '["\\uDC00"]', 'invalid_encoding'],
  ['half a pair in a key', '{"\\ud800":1}', 'invalid_encoding'],
])('%s is refused', (_name, text, code) => {
  expect(codeOf(text)).toBe(code)
})

test.each(['{"secret words', '{"a": secret words}', '{"a":1,"a":"secret words"}', '"secret words'])(
  'the refusal of %s quotes nothing of it, nor does its cause',
  (text) => {
    expect(thrownBy(text)).toBeInstanceOf(AppError)
    expect(inspect(thrownBy(text))).not.toContain('secret')
  },
)

test('a long run of backslashes and quotes takes linear work', () => {
  const length = 200_000
  expect(codeOf(`"${'\\"'.repeat(length)}"`)).toBe('undefined')
  expect(codeOf(`"${'\\\\'.repeat(length)}"`)).toBe('undefined')
  expect(codeOf(`"${'\\'.repeat(length)}`)).toBe('invalid_json')
})
