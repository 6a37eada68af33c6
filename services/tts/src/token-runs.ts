/**
 * Kokoro reads at most 510 phoneme tokens at once and drops the rest in silence. Longer speech is cut here into runs
 * that fit: at the end of a sentence if there is one late enough, else at another mark, else between words.
 */

/** Kokoro's limit, without the token before and the one after. */
const MAX_RUN_TOKENS = 510

/** A cut at a mark is taken only behind this part of a full run, or runs would get very short. */
const LATE_ENOUGH = 0.4

/**
 * Phoneme words joined into runs of at most `maxTokens`, in order, nothing left out. `countTokens` measures a string
 * without the two pad tokens. A single word longer than a run is cut where it must be.
 */
export function tokenRuns(
  words: readonly string[],
  countTokens: (symbols: string) => number,
  maxTokens: number = MAX_RUN_TOKENS,
): string[] {
  const whole = words.join(' ')
  if (whole.length <= maxTokens) return whole === '' ? [] : [whole] // one symbol is at most one token: no need to measure
  const fitting = words.flatMap((word) => cutWord(word, countTokens, maxTokens))
  const sizes = fitting.map((word) => countTokens(word) + 1)
  const runs: string[] = []
  for (let from = 0; from < fitting.length;) {
    const full = fullRun(sizes, from, maxTokens)
    const to = full === fitting.length ? full : bestCut(fitting, from, full)
    runs.push(fitting.slice(from, to).join(' '))
    from = to
  }
  return runs
}

/** The first index that no longer fits a run that starts at `from`; each size counts the space before its word. */
function fullRun(sizes: readonly number[], from: number, maxTokens: number): number {
  let to = from
  for (let used = -1; to < sizes.length; to++) {
    used += sizes[to] ?? 0
    if (used > maxTokens) break
  }
  return to
}

function bestCut(words: readonly string[], from: number, full: number): number {
  const earliest = from + Math.ceil((full - from) * LATE_ENOUGH)
  for (const mark of [/[.!?…]["”)]*$/, /[,;:—]["”)]*$/]) {
    for (let to = full; to > earliest; to--) {
      if (mark.test(words[to - 1] ?? '')) return to
    }
  }
  return full
}

function cutWord(word: string, countTokens: (symbols: string) => number, maxTokens: number): string[] {
  if (countTokens(word) <= maxTokens) return [word]
  const symbols = Array.from(word)
  const half = symbols.length >> 1
  const halves = [symbols.slice(0, half).join(''), symbols.slice(half).join('')]
  return halves.flatMap((part) => cutWord(part, countTokens, maxTokens))
}
