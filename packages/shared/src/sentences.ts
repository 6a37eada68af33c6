/**
 * Text cut into what a voice can say at once. A reply is spoken while it is still being written, so the first fragment is
 * small (a clause) and later ones are sentences. A cut is decided by the text around its mark alone, so it does not matter
 * in which pieces the text came; a fragment leaves with the character that makes its end certain.
 */

export type FragmentOptions = {
  /** Longest fragment, in UTF-16 units: cut behind its last clause, else between words, else anywhere. */
  readonly maxChars?: number
  /** Words after which a clause is enough for the first fragment; two CJK characters count as a word. */
  readonly firstWords?: number
}

/** What the text at a mark is: an end of a sentence, of a clause, of nothing, or not to be told before more text comes. */
type Verdict = 'sentence' | 'clause' | 'none' | 'undecided'

const STOPS = '.!?…؟۔।॥'
const CLAUSE_MARKS = ',;:—–،؛'
const WIDE_STOPS = '。！？｡'
const WIDE_CLAUSE_MARKS = '，、；：､'
const MARKS = new Set(STOPS + CLAUSE_MARKS + WIDE_STOPS + WIDE_CLAUSE_MARKS)
/** What closes a quote, bracket or emphasis may follow a mark and belongs to it. “ and « close in German, but open after CJK marks. */
const WIDE_CLOSERS = '」』）】》〉”’"\')'
const CLOSERS = `${WIDE_CLOSERS}“‘»«›‹]}*_~\``
const AFTER_MARK = new Set([...MARKS].join('') + CLOSERS)
const AFTER_WIDE_MARK = new Set([...MARKS].join('') + WIDE_CLOSERS)

const LINE_ENDS = new Set('\n\r\u2028\u2029')
const SPACE = /\s/u
const WORD_CHAR = /[\p{L}\p{N}]/u
const LOWER_CASE_OR_DIGIT = /[\p{Ll}\p{N}]/u
/** One UTF-16 unit that may follow a mark's end: a space, CJK (no spaces there), a symbol such as an emoji. */
const BREAK =
  /[\s—\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff00-\uffef\p{Extended_Pictographic}\ud800-\udbff]/u
const WORDS = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}][\p{L}\p{N}\p{M}'’.-]*/gu
const WIDE_WORD = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u
/** Marks that lost their sentence, at the head of a fragment. */
const ORPHANS = /^[.,;:!?…。、！？»”’)\]}」』"']+(?=\s)/u

/** A full stop behind these never ends a sentence: a name, a number or the rest follows. Case counts: "Dec." but "dec". */
const ABBREVIATIONS = new Set(
  (
    'Mr Mrs Ms Dr Prof St Sr Sra Dra Jr Rev Gen Sen Rep Gov Capt Lt Col Sgt Hon Mt Mme Mlle Hr Fr Nr Str Hrsg Abb Bd Kap ' +
    'Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Okt Nov Dec Dez Fig Vol Ch Dept Univ Ud Uds Vd Vds ' +
    'mr mrs ms dr prof vs approx cf ca bzw evtl ggf inkl exkl vgl nr resp sog dept pp est av tel pág'
  ).split(' '),
)
/** Behind these it ends one unless a small letter or a digit follows: "at 5 p.m. today", "No. 5". */
const MAYBE_ABBREVIATIONS = new Set('etc usw ect inc ltd co corp no al ff jr a.m p.m u.a u.ä'.split(' '))
/** "J." (but not "I."), and "z.B.", "U.S.", "Ph.D." */
const INITIALS = /^(?!I$)[\p{Lu}a-z]$|^(?:\p{L}{1,2}\.){1,4}\p{L}{1,2}$/u
/** A German ordinal ("am 3. Mai") or the number of a list item at the start of a line. */
const ORDINAL = /(?:^|(?:^|\s)(?:(?<!I )am|vom|zum|beim|im|bis|seit|der|die|das|den|dem|des|ab)\s)\d{1,2}$/iu
/** Units that the rules look at before a stop and, in white space, behind it: no text makes them look further. */
const LOOK_BEHIND = 24
const LOOK_AHEAD = 8

/** The sentences of a whole text, as the splitter cuts them but without a small first one. */
export function splitSentences(text: string, { maxChars = 300 }: Pick<FragmentOptions, 'maxChars'> = {}): string[] {
  const splitter = new FragmentSplitter({ maxChars, firstWords: Infinity })
  return [...splitter.push(text), ...splitter.end()]
}

/**
 * Cuts streamed text into speakable fragments: at sentence and line ends, the first one also at the first clause after
 * `firstWords` words. Fragments are trimmed and hold a letter or digit; together they hold every word, in order. Takes time
 * linear in the text, whatever it is and in whatever pieces it comes.
 */
export class FragmentSplitter {
  readonly #maxChars: number
  readonly #firstWords: number
  #isFirst = true
  #text = ''
  /** Up to here the text was looked at; behind a fragment's start. */
  #at = 0
  /** Where the fragment can be cut if it grows too long; 0 when nowhere. */
  #clauseEnd = 0
  #lastSpace = 0

  constructor({ maxChars = 300, firstWords = 4 }: FragmentOptions = {}) {
    this.#maxChars = Math.max(2, maxChars)
    this.#firstWords = firstWords
  }

  /** Takes the next piece; returns the fragments it completed. */
  push(piece: string): string[] {
    this.#text += piece
    return this.#take(false)
  }

  /** The text is over: returns what was left, and is ready for another text. */
  end(): string[] {
    const fragments = this.#take(true)
    this.#text = ''
    this.#isFirst = true
    this.#startAt(0)
    return fragments
  }

  #take(isEnded: boolean): string[] {
    const fragments: string[] = []
    let start = 0
    for (;;) {
      while (start < this.#text.length && SPACE.test(this.#text.charAt(start))) start++
      if (this.#at < start) this.#startAt(start)
      const end = this.#nextCut(start, isEnded)
      if (end === null) break
      const fragment = this.#text.slice(start, end).replace(ORPHANS, '').trim()
      if (WORD_CHAR.test(fragment)) {
        fragments.push(fragment)
        this.#isFirst = false
      }
      start = end
      this.#startAt(end)
    }
    this.#forget(start)
    return fragments
  }

  #startAt(index: number): void {
    this.#at = index
    this.#clauseEnd = 0
    this.#lastSpace = 0
  }

  #forget(length: number): void {
    this.#text = this.#text.slice(length)
    this.#at -= length
    this.#clauseEnd = Math.max(0, this.#clauseEnd - length)
    this.#lastSpace = Math.max(0, this.#lastSpace - length)
  }

  /** Where the fragment that begins at `start` ends, or null when the text so far does not tell. */
  #nextCut(start: number, isEnded: boolean): number | null {
    const limit = start + this.#maxChars
    while (this.#at < this.#text.length) {
      if (this.#at >= limit) return this.#cutLong(start, limit)
      const char = this.#text.charAt(this.#at)
      if (LINE_ENDS.has(char)) return this.#at + 1
      if (MARKS.has(char)) {
        const end = markEnd(this.#text, this.#at, limit)
        const verdict = judge(this.#text, start, this.#at, end, isEnded)
        if (verdict === 'undecided' && end <= limit) return null
        if (end <= limit && this.#isCut(verdict, start, end)) return end
        if (verdict === 'clause') this.#clauseEnd = Math.min(end, limit)
        this.#at = Math.min(end, limit)
      } else {
        if (SPACE.test(char)) this.#lastSpace = this.#at
        this.#at++
      }
    }
    return isEnded && this.#at > start ? this.#text.length : null
  }

  #isCut(verdict: Verdict, start: number, end: number): boolean {
    if (verdict === 'sentence') return true
    if (verdict !== 'clause' || !this.#isFirst) return false
    return countWords(this.#text.slice(start, end)) >= this.#firstWords
  }

  #cutLong(start: number, limit: number): number {
    if (SPACE.test(this.#text.charAt(limit))) return limit
    if (this.#clauseEnd > start + 0.4 * this.#maxChars) return this.#clauseEnd
    if (this.#lastSpace > start) return this.#lastSpace
    return isHighSurrogate(this.#text.charCodeAt(limit - 1)) ? limit - 1 : limit
  }
}

/** Where the marks at `at`, and the quotes and brackets that they close, end; `limit + 1` when they go on beyond it. */
function markEnd(text: string, at: number, limit: number): number {
  const isWide = WIDE_STOPS.includes(text.charAt(at)) || WIDE_CLAUSE_MARKS.includes(text.charAt(at))
  const members = isWide ? AFTER_WIDE_MARK : AFTER_MARK
  let end = at + 1
  while (end <= limit && members.has(text.charAt(end))) end++
  return end
}

/** What the marks from `at` to `end` mean in the fragment that began at `start`. */
function judge(text: string, start: number, at: number, end: number, isEnded: boolean): Verdict {
  const mark = text.charAt(at)
  if (end === text.length && !isEnded) return 'undecided'
  if (WIDE_STOPS.includes(mark)) return 'sentence'
  if (WIDE_CLAUSE_MARKS.includes(mark) || mark === '—') return 'clause'
  if (end < text.length && !BREAK.test(text.charAt(end))) return 'none' // 3.14, 10:30, example.com, "a?b"
  if (CLAUSE_MARKS.includes(mark)) return 'clause'
  if (mark !== '.') return 'sentence'
  const ending = judgeStop(text.slice(Math.max(start, at - LOOK_BEHIND), at))
  return ending === 'maybe' ? judgeByNext(text, end, isEnded) : ending
}

/** Whether a full stop ends a sentence, by the text before it; `maybe` when the text behind it tells. */
function judgeStop(before: string): 'sentence' | 'none' | 'maybe' {
  const word = /[^\s"'([{„“«»‘¿¡*_—–]*$/u.exec(before)?.[0] ?? ''
  if (MAYBE_ABBREVIATIONS.has(word.toLowerCase())) return 'maybe'
  return ABBREVIATIONS.has(word) || INITIALS.test(word) || ORDINAL.test(before) ? 'none' : 'sentence'
}

/** Behind an abbreviation, a small letter or a digit goes on with the sentence. */
function judgeByNext(text: string, end: number, isEnded: boolean): Verdict {
  for (let i = end; i < end + LOOK_AHEAD; i++) {
    const char = text.charAt(i)
    if (char === '') return isEnded ? 'sentence' : 'undecided'
    if (LINE_ENDS.has(char)) return 'sentence'
    if (!SPACE.test(char)) return LOWER_CASE_OR_DIGIT.test(char) ? 'none' : 'sentence'
  }
  return 'sentence'
}

function countWords(text: string): number {
  const words = text.match(WORDS) ?? []
  return words.reduce((sum, word) => sum + (WIDE_WORD.test(word) ? 0.5 : 1), 0)
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd8_00 && unit <= 0xdb_ff
