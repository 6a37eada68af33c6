import { expect, test } from 'vitest'
import { cutFragments } from './fragments.ts'

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
  ['I. e. Dr. U.S.A. 3.14 is pi... and so on, '.repeat(100)],
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
