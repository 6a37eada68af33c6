/**
 * Words to the phoneme symbols that Kokoro was trained on. eSpeak NG says the words; the marks between them, which
 * Kokoro hears as pauses and melody, stay where they were.
 *
 * eSpeak NG silently drops the end of a word beyond 160 bytes of phonemes, digits beyond its largest number name, and a
 * single letter repeated more than three times; `wordsToSay` cuts such words so that everything is said.
 */
import { SAID_OTHERWISE } from './plain-text.ts'
import type { Phonemize } from './phonemizer.ts'
import { isEnglish } from './voices.ts'
import type { Language } from './voices.ts'

const MAX_WORD_LETTERS = 40
const MAX_NUMBER_DIGITS = 15
const MAX_EQUAL_WORDS = 3

/** A word of phonemes, marks attached, and the written words that it says: mostly one; eSpeak says "of the" in one and "2026" in several. */
export type PhonemeWord = { readonly symbols: string; readonly written: readonly string[] }

/**
 * The text's phoneme words in order: their symbols joined by one space are what Kokoro's tokenizer takes. Empty when eSpeak has no sound for
 * any of it.
 */
export async function phonemeWords(text: string, language: Language, phonemize: Phonemize): Promise<PhonemeWord[]> {
  const words: PhonemeWord[] = []
  let opening = ''
  for (const piece of splitMarks(text)) {
    opening += piece.opening
    const spoken = kokoroSymbols((await sayRuns(piece.words, language, phonemize)).join(' '), language)
    const said = spoken.split(' ').filter((word) => word !== '')
    if (said[0] !== undefined) {
      said[0] = opening + said[0]
      opening = ''
    }
    words.push(...withWritten(said, piece.words.map(writtenForm)))
    const last = words.pop()
    if (last !== undefined) words.push({ ...last, symbols: last.symbols + piece.closing })
  }
  return words
}

/** Which written words each phoneme word says: one each where there are as many, else by where their middles lie. */
function withWritten(said: readonly string[], written: readonly string[]): PhonemeWord[] {
  const ends = said.map(
    (
      (sum) => (word: string) =>
        (sum += word.length)
    )(0),
  )
  const lengths = written.map(
    (
      (sum) => (word: string) =>
        (sum += word.length) - word.length / 2
    )(0),
  )
  const scale = (ends.at(-1) ?? 0) / Math.max(1, written.join('').length)
  return said.map((symbols, k) => {
    const isHere = (_: string, i: number): boolean => {
      const middle = (lengths[i] ?? 0) * scale
      return said.length === written.length ? i === k : middle > (ends[k - 1] ?? 0) && middle <= (ends[k] ?? 0)
    }
    return { symbols, written: written.filter(isHere) }
  })
}

type Piece = { readonly opening: string; readonly words: readonly string[]; readonly closing: string }

const MARKED_WORD = /^(["“(]*)(.*?)([;:,.!?…—"”)]*)$/su

/** Words between marks. A mark inside a word (3.14, 10:30, U.S.) belongs to the word. */
export function splitMarks(text: string): Piece[] {
  const pieces: Piece[] = []
  let words: string[] = []
  let opening = ''
  const end = (closing: string): void => {
    if (words.length > 0 || opening + closing !== '') pieces.push({ opening, words, closing })
    words = []
    opening = ''
  }
  for (const word of text.replaceAll('—', ' — ').split(/\s+/)) {
    const [, before = '', inner = '', after = ''] = MARKED_WORD.exec(word) ?? []
    if (before !== '') end('')
    opening += before
    if (inner !== '') words.push(...wordsToSay(inner))
    if (after !== '') end(after === '—' ? ' —' : after)
  }
  end('')
  return pieces
}

/** One written word as eSpeak can say all of it. */
function wordsToSay(word: string): string[] {
  if (givenPhonemes(word) !== null) return [word]
  if (word.length <= MAX_NUMBER_DIGITS) return [word]
  const digitByDigit = word.replace(/\d+/g, (digits) =>
    digits.length > MAX_NUMBER_DIGITS ? ` ${digits.split('').join(' ')} ` : digits,
  )
  return digitByDigit.split(' ').flatMap((part) => part.match(LONG_WORD_PARTS) ?? [])
}

const LONG_WORD_PARTS = new RegExp(`.{1,${MAX_WORD_LETTERS}}`, 'gsu')

/** eSpeak's phonemes for words without marks, cut where one would be repeated too often for it. */
async function sayRuns(words: readonly string[], language: Language, phonemize: Phonemize): Promise<string[]> {
  const lines: string[] = []
  let run: string[] = []
  const say = async (): Promise<void> => {
    if (run.length > 0) lines.push(...(await phonemize(run.join(' '), language)))
    run = []
  }
  for (const word of words) {
    const given = givenPhonemes(word)
    if (given !== null) {
      await say()
      lines.push(given)
      continue
    }
    if (run.length >= MAX_EQUAL_WORDS && run.slice(-MAX_EQUAL_WORDS).every((said) => said === word)) await say()
    run.push(word)
  }
  await say()
  return lines
}

const GIVEN = new RegExp(`${SAID_OTHERWISE.open}(.*)${SAID_OTHERWISE.said}(.*)${SAID_OTHERWISE.close}`, 'su')
const spaced = (text: string): string => text.replaceAll(SAID_OTHERWISE.space, ' ')

/** The phonemes of a word whose pronunciation the text gave (`[word](/ipa/)`), else null. */
function givenPhonemes(word: string): string | null {
  const ipa = GIVEN.exec(word)?.[2]
  return ipa === undefined ? null : spaced(ipa)
}

/** A text as its reader knows it: without given pronunciations. */
export const plainWords = (text: string): string => text.split(' ').map(writtenForm).join(' ')

const writtenForm = (word: string): string => word.replace(GIVEN, (_, written: string) => spaced(written))

/** eSpeak's IPA in Kokoro's symbols: one sign for each English r, no Scottish or Welsh sounds, and a few words it learnt otherwise. */
export function kokoroSymbols(ipa: string, language: Language): string {
  if (!isEnglish(language)) return ipa
  const symbols = ipa
    .replaceAll('kəkˈoːɹoʊ', 'kˈoʊkəɹoʊ')
    .replaceAll('kəkˈɔːɹəʊ', 'kˈəʊkəɹəʊ')
    .replaceAll('ʲ', 'j')
    .replaceAll('r', 'ɹ')
    .replaceAll('x', 'k')
    .replaceAll('ɬ', 'l')
    .replace(/(?<=[a-zɹː])(?=hˈʌndɹɪd)/gu, ' ')
    .replace(/ z(?= |$)/gu, 'z')
  return language === 'en-us' ? symbols.replace(/(?<=nˈaɪn)ti(?!ː)/gu, 'di') : symbols
}
