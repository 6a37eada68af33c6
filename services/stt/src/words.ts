/** Tokens as words: a word begins with a space where a language has them, and punctuation belongs to its neighbour. */

export type TokenWord = { readonly text: string; readonly tokens: readonly number[] }

/** Written without spaces between words: each character stands for itself. */
export const UNSPACED = new Set(['bo', 'ja', 'km', 'lo', 'my', 'th', 'yue', 'zh'])

const OPENING = '"\'“¿([{-'
const CLOSING = '"\'.。,，!！?？:：”)]}、'
const BROKEN = '\ufffd'

/** Every token is in exactly one word. `textOf` decodes any of them. */
export function splitWords(
  tokens: readonly number[],
  language: string,
  textOf: (tokens: readonly number[]) => string,
): TokenWord[] {
  const characters = wholeCharacters(tokens, textOf)
  const isSpaced = !UNSPACED.has(language)
  const words: TokenWord[] = []
  for (const part of characters) {
    const last = words.at(-1)
    const isNew = !last || !isSpaced || part.text.startsWith(' ') || isPunctuation(part.text)
    if (isNew) words.push(part)
    else words[words.length - 1] = join(last, part)
  }
  return attachPunctuation(words)
}

/** Tokens may end within a character: such are taken together. */
function wholeCharacters(tokens: readonly number[], textOf: (tokens: readonly number[]) => string): TokenWord[] {
  const parts: TokenWord[] = []
  let pending: number[] = []
  for (const token of tokens) {
    pending.push(token)
    const text = textOf(pending)
    if (text.endsWith(BROKEN)) continue
    parts.push({ text, tokens: pending })
    pending = []
  }
  if (pending.length > 0) parts.push({ text: textOf(pending), tokens: pending })
  return parts
}

function attachPunctuation(words: readonly TokenWord[]): TokenWord[] {
  const joined: TokenWord[] = []
  for (const word of words) {
    const last = joined.at(-1)
    const isClosing = !word.text.startsWith(' ') && CLOSING.includes(word.text)
    const followsOpening = last !== undefined && last.text.startsWith(' ') && OPENING.includes(last.text.trim())
    if (last && (isClosing || followsOpening)) joined[joined.length - 1] = join(last, word)
    else joined.push(word)
  }
  return joined
}

const isPunctuation = (text: string): boolean => /^\p{P}+$/u.test(text.trim())
const join = (a: TokenWord, b: TokenWord): TokenWord => ({ text: a.text + b.text, tokens: [...a.tokens, ...b.tokens] })
