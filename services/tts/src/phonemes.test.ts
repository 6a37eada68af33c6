import { describe, expect, test } from 'vitest'
import { kokoroSymbols, phonemeWords, splitMarks } from './phonemes.ts'
import { loadPhonemizer } from './phonemizer.ts'
import type { PhonemeWord } from './phonemes.ts'
import { SAID_OTHERWISE } from './plain-text.ts'

const lastResorts = () => [...process.listeners('uncaughtException'), ...process.listeners('unhandledRejection')]
const before = lastResorts()
const phonemize = await loadPhonemizer()
const after = lastResorts()
const symbolsOf = (words: readonly PhonemeWord[]) => words.map(({ symbols }) => symbols)
const say = async (text: string): Promise<string> => symbolsOf(await phonemeWords(text, 'en-us', phonemize)).join(' ')

test('marks stay where they were', async () => {
  expect(await say('Hello, world! Is it (really) you?')).toBe('həlˈoʊ, wˈɜːld! ɪz ˈɪt (ɹˈiəli) jˈuː?')
  expect(await say('Wait — what…')).toBe('wˈeɪt — wˈʌt…')
  expect(await say('"Yes," she said.')).toBe('"jˈɛs," ʃiː sˈɛd.')
})

test('a mark inside a word belongs to the word', () => {
  expect(splitMarks('At 10:30, 3.14 (U.S.A.).')).toEqual([
    { opening: '', words: ['At', '10:30'], closing: ',' },
    { opening: '', words: ['3.14'], closing: '' },
    { opening: '(', words: ['U.S.A'], closing: '.).' },
  ])
})

test('a pronunciation that the text gives is said as it is, and its word is known', async () => {
  const { open, said, close } = SAID_OTHERWISE
  const words = await phonemeWords(`Ask ${open}Nguyen${said}nwˈɪn${close}, please.`, 'en-us', phonemize)
  expect(words).toEqual([
    { symbols: 'ˈæsk', written: ['Ask'] },
    { symbols: 'nwˈɪn,', written: ['Nguyen'] },
    { symbols: 'plˈiːz.', written: ['please'] },
  ])
})

test('each phoneme word knows its written words, also when eSpeak joins or parts them', async () => {
  const words = await phonemeWords('In 2026 most of the lights are off', 'en-us', phonemize)
  expect(words.flatMap(({ written }) => written)).toEqual('In 2026 most of the lights are off'.split(' '))
})

test('British voices get British sounds', async () => {
  for (const [language, sound] of [
    ['en-us', 'wˈɔːɾɚ'],
    ['en-gb', 'wˈɔːtə'],
    ['en-us', 'wˈɔːɾɚ'],
  ] as const) {
    expect(symbolsOf(await phonemeWords('water', language, phonemize))).toEqual([sound])
  }
})

describe("eSpeak's symbols become Kokoro's", () => {
  test.each([
    ['kəkˈoːɹoʊ', 'kˈoʊkəɹoʊ'],
    ['rʲxɬ', 'ɹjkl'],
    ['wˈʌnhˈʌndɹɪd', 'wˈʌn hˈʌndɹɪd'],
    ['nˈaɪnti', 'nˈaɪndi'],
    ['nˈaɪntiːn', 'nˈaɪntiːn'],
    ['nˈaɪnti z', 'nˈaɪndiz'],
  ])('%s', (ipa, symbols) => {
    expect(kokoroSymbols(ipa, 'en-us')).toBe(symbols)
  })

  test('ninety keeps its t in British English', () => {
    expect(kokoroSymbols('nˈaɪnti', 'en-gb')).toBe('nˈaɪnti')
  })
})

describe('nothing is lost where eSpeak would drop it', () => {
  test('a single letter said many times', async () => {
    expect((await say('x '.repeat(50))).match(/ˈɛks/g)).toHaveLength(50)
  })

  test('a word of 4000 letters', async () => {
    expect((await say('hello'.repeat(800))).match(/l/g)).toHaveLength(800)
  })

  test('a number of 300 digits', async () => {
    expect((await say('5'.repeat(300))).match(/fˈaɪv/g)).toHaveLength(300)
  })
})

test.each(['...', '“”', '— —'])('%j has no words', async (text) => {
  expect(await phonemeWords(text, 'en-us', phonemize)).toEqual([])
})

test("loading eSpeak leaves the process's last-resort handlers as they were", () => {
  expect(after).toEqual(before)
})

describe('the other languages, in the symbols that Kokoro has for them', () => {
  test.each([
    ['es', 'Hola, mucho gusto.', 'ˈola, mˈuʧo ɣˈusto.'],
    ['fr', 'Bonjour, Anna.', 'bɔ̃ʒˈuʁ, anˈa.'],
    ['it', 'Buongiorno!', 'bʊonʤˈɔrno!'],
    ['pt-br', 'Bom dia.', 'bˈoŋ ʤˈiæ.'],
    ['hi', 'नमस्ते.', 'nəmˈʌsteː.'],
  ] as const)('%s', async (language, text, expected) => {
    expect(symbolsOf(await phonemeWords(text, language, phonemize)).join(' ')).toBe(expected)
  })
})
