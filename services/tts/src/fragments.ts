/**
 * A text, whole or as it is written, cut into what is spoken at once: first a clause, so that the voice starts soon, then sentences, and long
 * sentences at a clause or between words. One path for both: markup goes, then fragments are cut, then each is put into the words that are said.
 */
import { FragmentSplitter } from '@hearth/shared/sentences'
import { PAUSE, PlainText } from './plain-text.ts'
import { readable } from './readable.ts'
import type { Language } from './voices.ts'

export type Fragment = {
  /** What is said. Empty only at the end of a text that ends with a pause. */
  readonly text: string
  /** Silence before it that the text asked for; 0 unless told. */
  readonly silenceMs: number
}

export type FragmentLimits = {
  /** UTF-16 units as written: about 20 s of speech, and well below Kokoro's 510 phonemes. */
  readonly maxChars?: number
  /** Words after which a clause is enough for the first fragment. */
  readonly firstWords?: number
}

/** Of one pause, and of all in a text. */
const MAX_SILENCE_MS = { pause: 10_000, text: 60_000 }
const ASKED_PAUSE = new RegExp(`^${PAUSE.open}(\\d+)${PAUSE.close}$`)

/** Speakable fragments of a whole text in order: none is longer than `maxChars` as written, none is only marks, no word is lost. */
export function fragmentsOf(text: string, language: Language, limits: FragmentLimits = {}): Fragment[] {
  const reader = new FragmentReader(language, limits)
  return [...reader.push(text), ...reader.end()]
}

/** The same for a text that is still being written; a fragment comes with the piece that makes its end certain. */
export async function* fragmentsFrom(
  pieces: AsyncIterable<string>,
  language: Language,
  limits: FragmentLimits = {},
): AsyncGenerator<Fragment, void, void> {
  const reader = new FragmentReader(language, limits)
  for await (const piece of pieces) yield* reader.push(piece)
  yield* reader.end()
}

class FragmentReader {
  readonly #language: Language
  readonly #plain = new PlainText()
  readonly #splitter: FragmentSplitter
  #silenceMs = 0
  #silenceLeftMs = MAX_SILENCE_MS.text

  constructor(language: Language, { maxChars = 300, firstWords = 4 }: FragmentLimits) {
    this.#language = language
    this.#splitter = new FragmentSplitter({ maxChars, firstWords })
  }

  push(piece: string): Fragment[] {
    return this.#read(this.#splitter.push(this.#plain.push(piece)))
  }

  end(): Fragment[] {
    const last = this.#read([...this.#splitter.push(this.#plain.end()), ...this.#splitter.end()])
    return this.#silenceMs > 0 ? [...last, this.#withSilence('')] : last
  }

  #read(cuts: readonly string[]): Fragment[] {
    return cuts.flatMap((cut) => {
      const asked = ASKED_PAUSE.exec(cut)
      if (asked) this.#addSilence(Number(asked[1]))
      const text = asked ? '' : readable(cut, this.#language)
      return text === '' ? [] : [this.#withSilence(text)]
    })
  }

  #addSilence(askedMs: number): void {
    const ms = Math.min(askedMs, MAX_SILENCE_MS.pause, this.#silenceLeftMs)
    this.#silenceMs += ms
    this.#silenceLeftMs -= ms
  }

  #withSilence(text: string): Fragment {
    const silenceMs = this.#silenceMs
    this.#silenceMs = 0
    return { text, silenceMs }
  }
}
