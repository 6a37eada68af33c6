/**
 * A text cut into what is spoken at once: sentences, and long sentences at a clause or between words. The voice starts
 * as soon as the first fragment is made, and stops within one when the caller leaves.
 */
import { splitSentences } from '@hearth/shared/sentences'
import { hasWords } from './text.ts'

/** About 20 s of speech, and well below Kokoro's 510 phoneme tokens. */
const MAX_FRAGMENT_CHARS = 300

/** Speakable fragments in order; none is longer than `maxChars`, none is only marks, no word is lost. */
export const cutFragments = (text: string, maxChars: number = MAX_FRAGMENT_CHARS): string[] =>
  splitSentences(text, { maxChars }).filter(hasWords)
