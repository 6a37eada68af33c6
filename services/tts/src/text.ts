/** What can be refused of a text before anything is made of it, and the characters that are no text at all. Every step is linear in its length. */
import { AppError } from '@hearth/shared/errors'

/** Characters in a text as people count them. */
export function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

/**
 * Throws `invalid_encoding` (a lone surrogate), `text_too_long` (more than `maxChars` code points) and `empty_text` (nothing visible).
 */
export function checkText(input: string, maxChars: number): void {
  const param = 'input'
  if (!input.isWellFormed()) throw new AppError('invalid_encoding', 'input holds half a surrogate pair', { param })
  const length = countCharacters(input)
  if (length > maxChars) {
    throw new AppError('text_too_long', `input may have ${maxChars} characters, got ${length}`, { param })
  }
  if (stripInvisible(input).trim() === '') throw new AppError('empty_text', 'input has no visible character', { param })
}

/** Control, format (zero-width, bidi, tags), private and unassigned characters out; composed and full-width forms made one. */
export function stripInvisible(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex -- terminal escapes are control characters
      .replace(/\u001b\[[0-9;]*[A-Za-z]?/g, '')
      .replace(/\r\n?|[\u0085\u2028\u2029]/g, '\n')
      .replace(/[^\P{Cc}\n\t]/gu, ' ')
      .replace(/[\p{Cf}\p{Co}\p{Cn}]/gu, '')
      .normalize('NFC')
      .replace(/[\uff01-\uff5e\ufb00-\ufb06\u{1d400}-\u{1d7ff}]/gu, (form) => form.normalize('NFKC'))
      .replace(/(?<=[\p{Script=Latin}\p{Script=Greek}])\p{M}+/gu, '')
  )
}
