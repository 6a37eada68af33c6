/**
 * Text that only grows, out of hypotheses that change their minds: what two successive ones agree on is shown, and never taken back (local
 * agreement, Macháček et al. 2023, arXiv 2307.14743). Case and punctuation need not agree.
 */

type Piece = {
  /** With the space before it and the punctuation after it. */
  readonly raw: string
  /** What has to agree. */
  readonly key: string
}

/** Scripts without spaces are taken letter by letter. */
const UNSPACED = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}`
const PIECE = new RegExp(String.raw`\s*(?:[${UNSPACED}]|[^\s${UNSPACED}]+)`, 'gu')
const MARKS = /[\s\p{P}]+/gu
const LAST_MARKS = /[\s\p{P}]+$/u

export class StablePrefix {
  #last: readonly Piece[] = []
  #shown: readonly Piece[] = []
  #text = ''

  /** What was shown so far. */
  get text(): string {
    return this.#text
  }

  /** A later hypothesis of the whole. Returns what it adds to the text; mostly nothing. */
  hear(hypothesis: string): string {
    const pieces = piecesOf(hypothesis.trim())
    const agreed = agreement(this.#last, pieces)
    this.#last = pieces
    const shown = this.#shown.length
    if (agreed <= shown || agreement(this.#shown, pieces) < shown) return ''
    this.#shown = pieces.slice(0, agreed)
    const delta = beginning(pieces, agreed).slice(beginning(pieces, shown).length)
    this.#text += delta
    return delta
  }
}

/** How many pieces both begin with. */
function agreement(a: readonly Piece[], b: readonly Piece[]): number {
  const at = a.findIndex(({ key }, index) => key !== b[index]?.key)
  return at < 0 ? a.length : at
}

/**
 * The first `count` pieces as text, without the punctuation of the last: a hypothesis that breaks off ends with a full stop of its own, so a
 * word's punctuation is shown with the word after it.
 */
function beginning(pieces: readonly Piece[], count: number): string {
  const text = pieces
    .slice(0, count)
    .map(({ raw }) => raw)
    .join('')
  return text.replace(LAST_MARKS, '')
}

/** Punctuation that stands alone belongs to the word before it. */
function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = []
  for (const [raw] of text.matchAll(PIECE)) {
    const key = raw.replaceAll(MARKS, '').toLowerCase()
    const before = pieces.at(-1)
    if (key === '' && before) pieces[pieces.length - 1] = { ...before, raw: before.raw + raw }
    else pieces.push({ raw, key })
  }
  return pieces
}
