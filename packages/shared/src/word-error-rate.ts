/** Word error rate, as speech recognition is scored: edit distance over words, after case and punctuation are taken away. */

const words = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}' ]/gu, '')
    .split(' ')
    .filter(Boolean)

/** Levenshtein distance between two word lists. */
function editDistance(from: readonly string[], to: readonly string[]): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (const [line, word] of from.entries()) {
    const next = [line + 1]
    for (const [column, other] of to.entries()) {
      const [diagonal = 0, above = 0] = [row[column], row[column + 1]]
      next.push(Math.min(above + 1, (next[column] ?? 0) + 1, diagonal + Number(word !== other)))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

/** True when both texts say the same words. */
export const sameWords = (a: string, b: string): boolean => words(a).join(' ') === words(b).join(' ')

/** Errors over reference words, for all pairs together; 0 is perfect, and it can pass 1. */
export function wordErrorRate(pairs: readonly (readonly [reference: string, hypothesis: string])[]): number {
  const errors = pairs.reduce((sum, [reference, heard]) => sum + editDistance(words(reference), words(heard)), 0)
  return errors / pairs.reduce((sum, [reference]) => sum + words(reference).length, 0)
}
