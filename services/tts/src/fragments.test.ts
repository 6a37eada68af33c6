import { describe, expect, test } from 'vitest'
import { fragmentsFrom, fragmentsOf } from './fragments.ts'
import type { Fragment } from './fragments.ts'

/** As sentences, whatever their length. */
const cutFragments = (text: string, maxChars = 300): string[] =>
  fragmentsOf(text, 'en-us', { maxChars, firstWords: Infinity }).map((fragment) => fragment.text)

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean)

test('sentences are fragments', () => {
  expect(cutFragments('Hello there. How are you? Fine!')).toEqual(['Hello there.', 'How are you?', 'Fine!'])
})

test('a long sentence is cut at its last clause that fits', () => {
  expect(cutFragments('one two three, four five six, seven eight nine ten', 32)).toEqual([
    'one two three, four five six,',
    'seven eight nine ten',
  ])
})

test('without a clause it is cut between words', () => {
  expect(cutFragments('one two three four five', 11)).toEqual(['one two', 'three four', 'five'])
})

test.each([
  ['word '.repeat(3000)],
  ['I. e. U.S.A. 3.14 is pi… and so on, '.repeat(100)],
  ['a. '.repeat(1000)],
  ['(quoted "text" '.repeat(200)],
])('no word is lost and no fragment is too long (%#)', (text) => {
  const fragments = cutFragments(text)
  expect(words(fragments.join(' '))).toEqual(words(text))
  expect(Math.max(...fragments.map((fragment) => fragment.length))).toBeLessThanOrEqual(300)
})

test('a word longer than a fragment is cut', () => {
  expect(cutFragments('a'.repeat(700)).join('')).toBe('a'.repeat(700))
})

test.each(['Yes. ... No.', `${'"('.repeat(1000)} a`])('marks alone are no fragment (%#)', (text) => {
  expect(cutFragments(text).every((fragment) => /\w/.test(fragment))).toBe(true)
})

describe('the first fragment', () => {
  const texts = (text: string) => fragmentsOf(text, 'en-us').map((fragment) => fragment.text)

  test('ends with the first clause of four words', () => {
    const text = 'Well, yes, if it rains tomorrow, then take an umbrella with you, or a coat. It may be cold.'
    expect(texts(text)).toEqual([
      'Well, yes, if it rains tomorrow,',
      'then take an umbrella with you, or a coat.',
      'It may be cold.',
    ])
  })

  test('is a sentence when no clause comes before its end', () => {
    expect(texts('Good morning, Anna. It is late, as you said, and cold.')).toEqual([
      'Good morning, Anna.',
      'It is late, as you said, and cold.',
    ])
  })
})

describe('a text that is still being written', () => {
  const TEXT = `# Plan\n\nFirst, **take the bus** to [the museum](https://example.com/a), then walk.\n- one [pause:1s]\n- two\n\nIt costs $5.50 at 10:05 a.m. today. Ask [Nguyen](/nwin/) there.`
  async function* pieces(size: number): AsyncGenerator<string> {
    for (let at = 0; at < TEXT.length; at += size) yield TEXT.slice(at, at + size)
  }

  test.each([1, 2, 3, 7, 20, 1000])('gives the same fragments in pieces of %i', async (size) => {
    const made: Fragment[] = []
    for await (const fragment of fragmentsFrom(pieces(size), 'en-us')) made.push(fragment)
    expect(made).toEqual(fragmentsOf(TEXT, 'en-us'))
  })

  test('gives its first clause before it is over', async () => {
    async function* endless(): AsyncGenerator<string> {
      yield 'Take the bus to town, '
      yield 'and then '
      yield await new Promise<string>(() => {})
    }
    const first = await fragmentsFrom(endless(), 'en-us').next()
    expect(first.value).toEqual({ text: 'Take the bus to town,', silenceMs: 0 })
  })
})

describe('a pause that the text asks for', () => {
  test.each([
    ['One. [pause:1.5s] Two.', [0, 1500]],
    ['[pause:250ms] One.', [250]],
    ['One [pause:1]', [0, 1000]],
    ['One. [pause:999999s] Two.', [0, 10_000]],
    ['One. [pause:1s][pause:2s] Two.', [0, 3000]],
  ])('%s', (text, expected) => {
    expect(fragmentsOf(text, 'en-us').map(({ silenceMs }) => silenceMs)).toEqual(expected)
  })

  test('is no more than a minute in all', () => {
    const all = fragmentsOf('One. [pause:10s] '.repeat(100), 'en-us')
    expect(all.reduce((sum, { silenceMs }) => sum + silenceMs, 0)).toBe(60_000)
  })
})
