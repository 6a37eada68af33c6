/**
 * What a person or a language model wrote, made into what can be said: no markup, no invisible characters, only
 * symbols an English voice has words for. Every step is linear in the text's length. Words are never dropped for being long.
 */
import { AppError } from '@hearth/shared/errors'

/** Abbreviations whose full stop ends no sentence. Only those with one reading. */
const ABBREVIATIONS: ReadonlyMap<string, string> = new Map([
  ['mr.', 'Mister'],
  ['mrs.', 'Missus'],
  ['ms.', 'Miz'],
  ['dr.', 'Doctor'],
  ['prof.', 'Professor'],
  ['vs.', 'versus'],
  ['etc.', 'et cetera'],
  ['e.g.', 'for example'],
  ['i.e.', 'that is'],
])

/** Characters in a text as people count them. */
export function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

/**
 * The text to speak. Throws `invalid_encoding` (a lone surrogate), `text_too_long` (more than `maxChars` code points),
 * `empty_text` (nothing visible) and `nothing_to_speak` (no letter or digit that an English voice can say).
 */
export function speakableText(input: string, maxChars: number): string {
  const param = 'input'
  if (!input.isWellFormed()) throw new AppError('invalid_encoding', 'input holds half a surrogate pair', { param })
  const length = countCharacters(input)
  if (length > maxChars) {
    throw new AppError('text_too_long', `input may have ${maxChars} characters, got ${length}`, { param })
  }
  const visible = stripInvisible(input)
  if (visible.trim() === '') throw new AppError('empty_text', 'input has no visible character', { param })
  const text = plainSentences(visible)
  if (!hasWords(text)) {
    throw new AppError('nothing_to_speak', 'input has no letter or digit that an English voice can say', { param })
  }
  return text
}

/** Whether there is anything to say beside marks. */
export const hasWords = (text: string): boolean => /[\p{Script=Latin}\p{Script=Greek}\p{N}]/u.test(text)

/** Control, format (zero-width, bidi, tags), private and unassigned characters out; composed and full-width forms made one. */
function stripInvisible(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex -- terminal escapes are control characters
      .replace(/\u001b\[[0-9;]*[A-Za-z]?/g, '')
      .replace(/\r\n?|[\u0085\u2028\u2029]/g, '\n')
      .replace(/[^\P{Cc}\n\t]/gu, ' ')
      .replace(/[\p{Cf}\p{Co}\p{Cn}]/gu, '')
      .normalize('NFC')
      .replace(/[\uff01-\uff5e\ufb00-\ufb06\u{1d400}-\u{1d7ff}]/gu, (form) => form.normalize('NFKC'))
      .replace(/\p{M}+/gu, '')
  )
}

function plainSentences(text: string): string {
  const lines = text.split('\n').map(plainLine)
  return readable(joinLines(lines).replace(/<[/!]?[a-zA-Z][^<>]{0,300}>/g, ' '))
}

type Line = { readonly text: string; readonly standsAlone: boolean }

/** One line without its Markdown block mark; a heading, a list item or an empty line ends the sentence before it. */
function plainLine(line: string): Line {
  const trimmed = line.trim()
  if (trimmed === '' || /^(?:```|~~~|(?:[-*_] ?){3,}$|[|:\- ]+$)/.test(trimmed)) return { text: '', standsAlone: true }
  const mark = /^(?:#{1,6} |[-*+•] |\d{1,3}[.)] |> ?)/.exec(trimmed)
  return { text: plainSpan(mark === null ? trimmed : trimmed.slice(mark[0].length)), standsAlone: mark !== null }
}

/** Links and images by their words, emphasis and code without their marks. */
function plainSpan(text: string): string {
  return text
    .replace(/!?\[([^[\]]{0,300})\]\([^()\s]{0,2000}\)/g, '$1')
    .replace(/`+/g, '')
    .replace(/(?<![\p{L}\p{N}])(?:\*{1,3}|_{1,3}|~~)(?=\S)|(?<=\S)(?:\*{1,3}|_{1,3}|~~)(?![\p{L}\p{N}])/gu, '')
}

function joinLines(lines: readonly Line[]): string {
  const parts: string[] = []
  let ended = true
  for (const [index, { text, standsAlone }] of lines.entries()) {
    const next = lines[index + 1]
    if (text !== '') parts.push(text)
    if (text !== '') ended = /[.!?…:;,]["”')\]]*$/.test(text)
    if (!ended && (standsAlone || next?.standsAlone === true)) {
      parts.push('.')
      ended = true
    }
  }
  return parts.join(' ').replaceAll(' .', '.')
}

/** Only what the voice has words or a pause for, single spaces, single marks. */
function readable(text: string): string {
  return text
    .replace(/[‘’‛`´]/g, "'")
    .replace(/[«»„‟]/g, '"')
    .replace(/ [-–] |[—―]|--+/g, ' — ')
    .replace(/[‐‑–]/g, '-')
    .replace(/[[\]{}|\\_~^<>]/g, ' ')
    .replace(/[^\p{Script=Latin}\p{Script=Greek}\d²³¼½¾ !"#$%&'()*+,\-./:;=?@¢£¥€§©®°±×÷“”…—]/gu, ' ')
    .replace(/\.{2,}/g, '…')
    .replace(/[!?]{2,}/g, (marks) => (marks.includes('?') ? '?' : '!'))
    .replace(/([^\p{L}\p{N}\s])\1+/gu, '$1')
    .replace(
      /\b(?:mr|mrs|ms|dr|prof|vs|etc|e\.g|i\.e)\./giu,
      (short) => ABBREVIATIONS.get(short.toLowerCase()) ?? short,
    )
    .replace(/\s+/g, ' ')
    .trim()
}
