import { expect, test } from 'vitest'
import { splitWords } from './words.ts'

const VOCABULARY = [' Hello', ' wor', 'ld', '!', ' "', 'yes', '"', '日', '本', '語', '。']
const textOf = (tokens: readonly number[]) => tokens.map((token) => VOCABULARY[token] ?? '').join('')
const textsOf = (tokens: readonly number[], language: string) =>
  splitWords(tokens, language, textOf).map(({ text }) => text)

test('a word begins with a space, and punctuation goes with its neighbour', () => {
  expect(textsOf([0, 1, 2, 3], 'en')).toEqual([' Hello', ' world!'])
  expect(textsOf([4, 5, 6, 0], 'en')).toEqual([' "yes"', ' Hello'])
})

test('where a language has no spaces, every character is a word', () => {
  expect(textsOf([7, 8, 9, 10], 'ja')).toEqual(['日', '本', '語。'])
})

test('tokens that end within a character are taken together', () => {
  const bytes = [Uint8Array.of(0xe6), Uint8Array.of(0x97), Uint8Array.of(0xa5)]
  const decode = (tokens: readonly number[]) =>
    new TextDecoder().decode(Buffer.concat(tokens.map((token) => bytes[token] ?? new Uint8Array())))
  expect(splitWords([0, 1, 2], 'ja', decode)).toEqual([{ text: '日', tokens: [0, 1, 2] }])
})

test('every token is in exactly one word', () => {
  const tokens = [0, 4, 5, 6, 3, 1, 2, 3]
  expect(splitWords(tokens, 'en', textOf).flatMap((word) => word.tokens)).toEqual(tokens)
})
