import { describe, expect, test } from 'vitest'
import { fragmentsOf } from './fragments.ts'
import { checkText } from './text.ts'

const MAX = 32_768
const say = (input: string): string =>
  fragmentsOf(input, 'en-us')
    .map(({ text }) => text)
    .join(' ')

const codeOf = (input: string, maxChars = MAX): unknown => {
  try {
    checkText(input, maxChars)
    return say(input)
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
}

test.each(['', ' ', '\n\t ', '\u200b\ufeff', '\u0000\u0007', '\u202e', '\u001b[31m'])('%j is empty', (input) => {
  expect(codeOf(input)).toBe('empty_text')
})

test.each(['...!?', '🎉🎉', '—', '你好', '()', '---', '```', '<br>', '🧑‍🚀!', 'नमस्ते'])(
  '%j has nothing to speak',
  (input) => {
    expect(say(input)).toBe('')
  },
)

test.each(['\ud800', 'a\udc00b', 'end \ud83c'])('half a surrogate pair is refused', (input) => {
  expect(codeOf(input)).toBe('invalid_encoding')
})

test('the limit counts code points, not UTF-16 units', () => {
  expect(codeOf('a' + '🎉'.repeat(99), 100)).toBe('a')
  expect(codeOf('a' + '🎉'.repeat(100), 100)).toBe('text_too_long')
})

describe('markup goes, its words stay', () => {
  test.each([
    ['# Hello\nThis is **very** _important_.', 'Hello. This is very important.'],
    ['- one\n- two\n\nand `three`', 'one. two. and three'],
    ['1. first\n2. second', 'first. second.'],
    ['See [the page](https://example.com/a?b=c).', 'See the page.'],
    ['![a cat](cat.png) here', 'a cat here'],
    ['Wait <break time="999999s"/> here', 'Wait here'],
    ['```js\nconst a = 1\n```', 'const a = 1.'],
    ['> quoted\nmore', 'quoted. more'],
    ['2 * 3 is x*y', '2 times 3 is x*y'],
    ['1 < 2 and 3 > 2', '1 is less than 2 and 3 is greater than 2'],
    ['| a | b |\n|---|---|\n| c | d |', 'a, b. c, d.'],
    ['- [ ] buy milk\n- [x] call Anna', 'buy milk. call Anna.'],
    ['![a cat](cat.png "My cat") and <b>bold</b>', 'a cat and bold'],
    ['one\ntwo\n\nthree', 'one two. three'],
  ])('%j', (input, expected) => {
    expect(say(input)).toBe(expected)
  })
})

describe('characters that are no speech go', () => {
  test.each([
    ['a\u0000b\u0007c', 'a b c'],
    ['\u202Eabc\u202C', 'abc'],
    ['a\u200bb', 'ab'],
    ['hi\u{e0041}\u{e0042}', 'hi'],
    ['\u001b[31mred\u001b[0m', 'red'],
    ['party 🎉 time', 'party time'],
    ['[[h@loU]] a|b_c', 'h@loU a b c'],
    ['e' + '\u0301'.repeat(1000), 'é'],
    ['ｆｕｌｌ ﬁne', 'full fine'],
    ['cafe\u0301', 'café'],
    ['hello!!!!', 'hello!'],
    ['what?!?!', 'what?'],
    ['wait.... what', 'wait… what'],
    ['don’t', "don't"],
    ['a -- b – c', 'a — b — c'],
  ])('%j', (input, expected) => {
    expect(say(input)).toBe(expected)
  })
})

test('full stops of abbreviations end no sentence', () => {
  expect(say('Dr. Smith vs. Mr. Jones, e.g. today')).toBe('Doctor Smith versus Mister Jones, for example today')
})

test('precomposed and decomposed letters are the same text', () => {
  expect(say('naïve résumé'.normalize('NFD'))).toBe(say('naïve résumé'))
})

test.each([
  ['a '.repeat(16_000)],
  ['!'.repeat(32_000) + 'a'],
  ['\n'.repeat(32_000) + 'a'],
  [' '.repeat(32_000) + 'a'],
  ['['.repeat(32_000) + 'a'],
  ['<a'.repeat(16_000)],
  ['*'.repeat(32_000) + 'a'],
  ['`~_'.repeat(10_000) + 'a'],
  ['- '.repeat(16_000) + 'a'],
  ['![a]('.repeat(6_000)],
  ['a'.repeat(32_000)],
  ['"('.repeat(16_000) + 'a'],
])('the longest text takes no more than a moment (%#)', (input) => {
  const start = process.cpuUsage()
  say(input)
  expect(process.cpuUsage(start).user / 1000).toBeLessThan(2000)
})
