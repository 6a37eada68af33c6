/**
 * Plain text as a voice can say it: its language's words, single marks, no sign that it has no word for. Words whose pronunciation is given are
 * left as they are. Every step is linear in the text's length. Words are never dropped for being long.
 */
import { SAID_OTHERWISE } from './plain-text.ts'
import { readEnglish } from './read-english.ts'
import { isEnglish } from './voices.ts'
import type { Language } from './voices.ts'

const { open, close } = SAID_OTHERWISE
const GIVEN = new RegExp(`(${open}[^${close}]*${close})`)

/** What the voice says for `text`; empty when it has nothing to say. */
export function readable(text: string, language: Language): string {
  const parts = text.split(GIVEN).map((part) => (part.startsWith(open) ? part : readPart(part, language)))
  const said = parts.join('').replace(/\s+/g, ' ').trim()
  return hasWords(said, language) ? said : ''
}

/** Whether there is anything to say beside marks. */
const hasWords = (text: string, language: Language): boolean =>
  (language === 'hi'
    ? /[\p{Script=Devanagari}\p{Script=Latin}\p{N}]/u
    : /[\p{Script=Latin}\p{Script=Greek}\p{N}]/u
  ).test(text)

const NOT_SAID = /[^\p{Script=Latin}\p{Script=Greek}\d²³¼½¾ !"#$%&'()*+,\-./:;=?@¢£¥€§©®°±×÷“”…—¿¡]/gu
const NOT_SAID_IN_HINDI = /[^\p{Script=Devanagari}\p{Script=Latin}\d !"%&'()*+,\-./:;=?“”…—]/gu

function readPart(part: string, language: Language): string {
  const plain = part
    .replace(/[‘’‛`´]/g, "'")
    .replace(/[«»„‟]/g, '"')
    .replace(/ [-–] |[—―]|--+(?!>)/g, ' — ')
    .replace(/[‐‑–−]/g, '-')
    .replaceAll('।', '.')
  const words = isEnglish(language) ? readEnglish(plain, language) : plain
  return words
    .replace(/[[\]{}|\\_~^<>]/g, ' ')
    .replace(language === 'hi' ? NOT_SAID_IN_HINDI : NOT_SAID, ' ')
    .replace(/\.{2,}/g, '…')
    .replace(/[!?]{2,}/g, (marks) => (marks.includes('?') ? '?' : '!'))
    .replace(/([^\p{L}\p{N}\s])\1+/gu, '$1')
    .replace(/ +(?=[,.;:!?…](?:\s|$))/g, '')
}
