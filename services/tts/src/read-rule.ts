/** A rule for reading: a pattern, and what is said for it: words, or a function of the match and its groups. */
export type Rule = readonly [pattern: RegExp, words: string | ((match: string, ...groups: string[]) => string)]
