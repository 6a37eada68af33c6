/**
 * Cuts text into what can be spoken. The first fragment is small (a clause), because the time to the first sound is the time to speak it;
 * later ones are sentences, because prosody needs them. Works on a stream: a fragment leaves as soon as its end is certain.
 */

export type FragmentOptions = {
  /** Words that the first fragment has at least, if its sentence has that many. */
  firstWords?: number
  /** Longest fragment; longer sentences are cut at the last clause or word before it. */
  maxChars?: number
}

type Boundary = 'sentence' | 'clause'

/** After these a full stop ends nothing (lower case, without the last dot). */
const ABBREVIATIONS = new Set(
  'dr mr mrs ms prof st sr jr vs etc e.g i.e approx no nr vol fig inc ltd co dept est z.b d.h bzw ca usw u.a o.ä mme mlle m sra dra ud pág p.ej a.m p.m u.s u.k u.s.a'.split(
    ' ',
  ),
)
const SENTENCE_END = new Set('.!?…。！？｡')
const WIDE_END = new Set('。！？｡')
const CLAUSE_END = new Set(',;:—–،、，；：')
const WIDE_CLAUSE = new Set('、，；：—–')
/** What may stand between the mark and the space: closing quotes and brackets, more marks. */
const CLOSING = new Set('.!?…"\'”’»)]}』」')
const hasWord = (text: string): boolean => /[\p{L}\p{N}]/u.test(text)

/** Splits streamed text; see `splitSentences` for whole texts. Joining the fragments with spaces loses no word. */
export class FragmentSplitter {
  readonly #firstWords: number
  readonly #maxChars: number
  #text = ''
  /** Where the search goes on: everything before it was looked at and is no end. */
  #from = 0
  #isFirst = true

  constructor({ firstWords = 4, maxChars = 300 }: FragmentOptions = {}) {
    this.#firstWords = firstWords
    this.#maxChars = maxChars
  }

  /** Takes more text, gives the fragments it completed. */
  push(piece: string): string[] {
    this.#text += piece
    return this.#drain(false)
  }

  /** Gives what is left; the splitter then starts anew. */
  end(): string[] {
    const fragments = this.#drain(true)
    const rest = this.#text.trim()
    this.#reset()
    return hasWord(rest) ? [...fragments, rest] : fragments
  }

  #reset(): void {
    this.#text = ''
    this.#from = 0
    this.#isFirst = true
  }

  #drain(isEnd: boolean): string[] {
    const fragments: string[] = []
    for (let end = this.#findEnd(isEnd); end !== null; end = this.#findEnd(isEnd)) {
      const fragment = this.#text.slice(0, end).trim()
      this.#text = this.#text.slice(end)
      this.#from = 0
      this.#isFirst = false
      fragments.push(fragment)
    }
    return fragments
  }

  /** Length of the next fragment, or null when more text is needed to know. */
  #findEnd(isEnd: boolean): number | null {
    const text = this.#text
    const limit = Math.min(text.length, this.#maxChars)
    for (let at = this.#from; at < limit; at++) {
      const boundary = boundaryAt(text, at, isEnd)
      if (boundary === 'unknown') {
        this.#from = at
        return null
      }
      if (boundary && this.#accepts(boundary.kind, text.slice(0, boundary.end))) return boundary.end
      this.#from = at + 1
    }
    return this.#cutLong()
  }

  #accepts(kind: Boundary, fragment: string): boolean {
    if (!hasWord(fragment)) return false
    if (kind === 'sentence') return true
    return this.#isFirst && countWords(fragment) >= this.#firstWords
  }

  /** A sentence past the limit is cut behind its last clause mark or space. */
  #cutLong(): number | null {
    if (this.#text.length <= this.#maxChars) return null
    const head = this.#text.slice(0, this.#maxChars)
    const clause = Math.max(...[...CLAUSE_END].map((mark) => head.lastIndexOf(mark))) + 1
    const space = head.search(/\s\S*$/) + 1
    const cut = clause > this.#maxChars / 3 ? clause : space > 0 ? space : this.#maxChars
    return hasWord(head.slice(0, cut)) ? cut : null
  }
}

/** The sentences of a whole text, as the splitter cuts them, without a small first fragment. */
export function splitSentences(text: string, { maxChars = 300 }: Pick<FragmentOptions, 'maxChars'> = {}): string[] {
  const splitter = new FragmentSplitter({ firstWords: Infinity, maxChars })
  return [...splitter.push(text), ...splitter.end()]
}

/** Words of a spaced script; in scripts without spaces two characters count as one. */
function countWords(text: string): number {
  const wide = text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/gu)?.length ?? 0
  const spaced = text.match(/[\p{L}\p{N}][^\s]*/gu)?.length ?? 0
  return Math.max(spaced, Math.floor(wide / 2))
}

/** What ends at `at`: a boundary with the length up to it, nothing, or `unknown` when the next character decides and is not there yet. */
function boundaryAt(text: string, at: number, isEnd: boolean): { kind: Boundary; end: number } | 'unknown' | null {
  const char = text[at] ?? ''
  if (char === '\n') return { kind: 'sentence', end: at + 1 }
  if (WIDE_END.has(char)) return { kind: 'sentence', end: at + 1 }
  if (WIDE_CLAUSE.has(char)) return { kind: 'clause', end: at + 1 }
  const isSentence = SENTENCE_END.has(char)
  if (!isSentence && !CLAUSE_END.has(char)) return null
  if (char === '.' && isAbbreviation(text, at)) return null
  let end = at + 1
  while (CLOSING.has(text[end] ?? '')) end++
  const next = text[end]
  if (next === undefined) return isEnd ? { kind: isSentence ? 'sentence' : 'clause', end } : 'unknown'
  // 3.14, 10:30, 1,000, example.com: a mark inside a word ends nothing.
  return /\s/.test(next) ? { kind: isSentence ? 'sentence' : 'clause', end } : null
}

/** `Dr.`, `e.g.`, `J.`: the dot belongs to the word. An ordinal such as `3.` does too, as German writes dates and lists begin. */
function isAbbreviation(text: string, dot: number): boolean {
  let start = dot
  while (start > 0 && dot - start < 12 && /[\p{L}\p{N}.]/u.test(text[start - 1] ?? '')) start--
  const word = text.slice(start, dot).toLowerCase()
  if (/^\p{L}$/u.test(word)) return word !== 'i'
  if (/^\d{1,2}$/.test(word)) return text.slice(0, start).trim() === ''
  return ABBREVIATIONS.has(word)
}
