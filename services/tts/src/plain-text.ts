/**
 * Markdown, as language models write it, to plain text while it comes in. The one idea: whatever may still turn out to be markup is held back,
 * all else leaves at once, so that a text gives the same words whole or in pieces. Two marks of ours go through: a pronunciation
 * (`[word](/ipa/)`) and a pause (`[pause:1.5s]`), as characters that no text can hold. Takes time linear in the text.
 */
import { stripInvisible } from './text.ts'

/** Around a word that is said otherwise than it is written: OPEN word SAID phonemes CLOSE. Private characters, which texts lose. */
export const SAID_OTHERWISE = { open: '\ue000', said: '\ue001', close: '\ue002', space: '\ue003' } as const
/** A pause of so many milliseconds: OPEN digits CLOSE, on a line of its own. */
export const PAUSE = { open: '\ue004', close: '\ue005' } as const

/** Longest constructs; what goes on beyond is no markup. */
const MAX_LABEL = 300
const MAX_ADDRESS = 2000
const MAX_TAG = 300

/** The mark of a heading, list item or quotation. */
const BLOCK_MARK = /^(?:#{1,6} |[-*+•] (?:\[[ xX]\] )?|\d{1,3}[.)] |> ?)/
/** Fences, rules and the second row of a table say nothing. */
const SILENT_LINE = /^(?:(?:```|~~~)[^`~]*|(?:[-*_] ?){3,}|[|:\- ]+)$/
/** Enough of a line to know what kind it is. */
const KNOWN_START = /^[ \t]*[^\s|`~]\S*[ \t]+\S/
const SENTENCE_END = /[.!?…]["”')\]\ue002]*$/
const ANY_END = /[.!?…:;,]["”')\]\ue002]*$/

export class PlainText {
  #held = ''
  #isLineStart = true
  /** The line begins or ends a paragraph, heading or list item. */
  #standsAlone = false
  /** A line has ended, and what follows will tell whether a sentence has. */
  #pending = false
  #last = ''

  /** Takes the next piece; returns the plain text that is certain by now. */
  push(piece: string): string {
    this.#held = `${this.#held}${piece}`.replace(/\r\n|\r(?!$)|[\u0085\u2028\u2029]/g, '\n')
    return this.#take(false)
  }

  /** The text is over: returns what was left, and is ready for another text. */
  end(): string {
    this.#held = this.#held.replace(/\r$/, '\n')
    const rest = this.#take(true)
    const ending = this.#standsAlone && this.#last !== '' && !ANY_END.test(this.#last) ? '.' : ''
    this.#isLineStart = true
    this.#standsAlone = this.#pending = false
    this.#last = ''
    return rest + ending
  }

  #take(isEnded: boolean): string {
    let plain = ''
    let from = 0
    for (;;) {
      const end = this.#held.indexOf('\n', from)
      if (end < 0) break
      plain += this.#line(this.#held.slice(from, end), true)
      from = end + 1
    }
    this.#held = this.#held.slice(from)
    if (isEnded) {
      plain += this.#held === '' ? '' : this.#line(this.#held, true)
      this.#held = ''
      return plain
    }
    const safe = certainUntil(this.#held)
    const certain = this.#held.slice(0, safe)
    if (safe === 0 || (this.#isLineStart && !KNOWN_START.test(certain))) return plain
    plain += this.#line(certain, false)
    this.#held = this.#held.slice(safe)
    return plain
  }

  /** A line, or a part of one, as plain text with what stands between it and the text before. */
  #line(text: string, isWhole: boolean): string {
    const visible = stripInvisible(text)
    const plain = this.#isLineStart ? this.#lineStart(visible.trimStart()) : this.#emit(plainSpan(visible))
    this.#isLineStart = isWhole
    if (!isWhole) return plain
    const isSentence = SENTENCE_END.test(this.#last)
    this.#pending = !isSentence
    return isSentence ? `${plain} ` : plain
  }

  #lineStart(line: string): string {
    if (line === '' || SILENT_LINE.test(line.trimEnd())) return this.#breakSentence()
    const mark = line.startsWith('|') ? null : BLOCK_MARK.exec(line)
    const isBlock = mark !== null || line.startsWith('|')
    const between = isBlock || this.#standsAlone ? this.#breakSentence() : this.#joinLines()
    this.#standsAlone = isBlock
    return between + this.#emit(plainSpan(line.startsWith('|') ? tableRow(line) : line.slice(mark?.[0].length ?? 0)))
  }

  #breakSentence(): string {
    this.#standsAlone = this.#pending = false
    if (this.#last === '') return ''
    const dot = ANY_END.test(this.#last) ? '' : '.'
    this.#last = ''
    return `${dot}\n`
  }

  #joinLines(): string {
    const isJoint = this.#pending && this.#last !== ''
    this.#pending = false
    return isJoint ? ' ' : ''
  }

  #emit(plain: string): string {
    if (plain.trim() !== '') this.#last = plain.trimEnd().slice(-8)
    return plain
  }
}

/** Up to where an unfinished line can be read: behind a word, and outside of what may become a link or a tag. */
function certainUntil(text: string): number {
  const space = text.search(/\s\S*$/) + 1
  const bracket = text.lastIndexOf('[')
  const tag = text.lastIndexOf('<')
  const isLink = bracket >= 0 && UNFINISHED_LINK.test(text.slice(bracket, bracket + MAX_LABEL + MAX_ADDRESS))
  const isTag = tag >= 0 && UNFINISHED_TAG.test(text.slice(tag, tag + MAX_TAG + 1))
  const certain = Math.min(space, isLink ? bracket : space, isTag ? tag : space)
  // Nothing that is markup is as long as that.
  return certain === 0 && text.length > 2 * (MAX_LABEL + MAX_ADDRESS) ? text.length : certain
}

/** Those that no space follows yet. */
const UNFINISHED_LINK = /^\[(?:[^\]]*|[^\]]*\](?:[^\s(]\S*)?|[^\]]*\]\((?:[^)]*|[^)]*\)\S*))$/
const UNFINISHED_TAG = /^<[a-zA-Z/!](?:[^<>]*|[^<>]*>\S*)$/

/** `| a | b |` as "a, b". */
const tableRow = (line: string): string =>
  line
    .split('|')
    .map((cell) => cell.trim())
    .filter((cell) => cell !== '')
    .join(', ')

const LINK = new RegExp(`!?\\[([^[\\]]{0,${MAX_LABEL}})\\]\\(([^()\\s]{0,${MAX_ADDRESS}})(?: "[^"()]{0,200}")?\\)`, 'g')
const SPOKEN_AS = /\[([^[\]]{1,100})\]\(\/([^/()[\]]{1,200})\/\)/g
const PAUSE_MARK = /\[pause: ?(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6}) ?(ms|s)?\]/gi
const TAG = new RegExp(`</?[a-zA-Z!][^<>]{0,${MAX_TAG}}>`, 'g')

/** Links and images by their words, emphasis and code without their marks, no tags. */
function plainSpan(text: string): string {
  return text
    .replace(PAUSE_MARK, (_, amount: string, unit = 's') => pauseMark(Number(amount) * (unit === 'ms' ? 1 : 1000)))
    .replace(SPOKEN_AS, (_, word: string, ipa: string) => saidOtherwise(word, ipa))
    .replace(LINK, '$1')
    .replace(TAG, ' ')
    .replace(/`+/g, '')
    .replace(/(?<![\p{L}\p{N}])(?:\*{1,3}|_{1,3}|~~)(?=\S)|(?<=\S)(?:\*{1,3}|_{1,3}|~~)(?![\p{L}\p{N}])/gu, '')
}

const pauseMark = (ms: number): string => `\n${PAUSE.open}${Math.round(ms)}${PAUSE.close}\n`

function saidOtherwise(word: string, ipa: string): string {
  const { open, said, close, space } = SAID_OTHERWISE
  const joined = (text: string): string => text.trim().replace(/\s+/g, space)
  return `${open}${joined(word)}${said}${joined(ipa)}${close}`
}
