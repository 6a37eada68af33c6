import { expect, test } from 'vitest'
import { findLanguage, languageCode, languageName } from './languages.ts'

test('names are the lower-case English ones that OpenAI replies with', () => {
  const names = {
    en: 'english',
    de: 'german',
    zh: 'chinese',
    bn: 'bengali',
    tl: 'tagalog',
    haw: 'hawaiian',
    yue: 'cantonese',
  }
  for (const [code, name] of Object.entries(names)) expect(languageName(code)).toBe(name)
})

test('a language is found by code, by code with region, and by name, among the known ones only', () => {
  const codes = ['en', 'my', 'haw']
  for (const name of ['en', 'EN', 'en-GB', 'en_US', ' English ']) expect(findLanguage(name, codes)).toBe('en')
  expect(findLanguage('Myanmar', codes)).toBe('my')
  expect(findLanguage('haw', codes)).toBe('haw')
  for (const name of ['de', 'german', '', '<|en|>', 'e']) expect(findLanguage(name, codes)).toBeUndefined()
})

test('any language has its two-letter code, whatever told it', () => {
  for (const name of ['german', 'German', 'de', 'de-CH']) expect(languageCode(name)).toBe('de')
  expect(languageCode('bengali')).toBe('bn')
  for (const name of ['', 'xx', 'klingon', '../']) expect(languageCode(name)).toBeUndefined()
})
