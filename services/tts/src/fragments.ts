/**
 * A text cut into what is spoken at once: sentences, and long sentences at a clause or between words. The voice starts
 * as soon as the first fragment is made, and stops within one when the caller leaves.
 */
import { splitSentences } from '@hearth/shared/sentences'
import { hasWords } from './text.ts'

/** About 20 s of speech, and well below Kokoro's 510 phoneme tokens. */
export const MAX_FRAGMENT_CHARS = 300

/** Speakable fragments in order; none is longer than `maxChars`, none is only marks, no word is lost. */
export function cutFragments(text: string, maxChars: number = MAX_FRAGMENT_CHARS): string[] {
  return splitSentences(text)
    .flatMap((sentence) => cutLong(sentence.trim(), maxChars))
    .filter(hasWords)
}

function cutLong(sentence: string, maxChars: number): string[] {
  const parts: string[] = []
  let rest = sentence
  while (rest.length > maxChars) {
    const at = cutPoint(rest, maxChars)
    parts.push(rest.slice(0, at).trim())
    rest = rest.slice(at).trim()
  }
  return [...parts, rest]
}

/** Where to cut what is too long: behind its last clause mark that fits, else at its last space, else between two letters. */
function cutPoint(text: string, maxChars: number): number {
  const head = text.slice(0, maxChars + 1)
  const clause = Math.max(...[', ', '; ', ': ', ' — '].map((mark) => head.lastIndexOf(mark) + mark.length - 1))
  if (clause > 0.4 * maxChars) return clause
  const space = head.lastIndexOf(' ')
  return space > 0 ? space : maxChars
}
