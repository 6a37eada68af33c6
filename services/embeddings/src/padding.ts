/** Rows of tokens as one rectangle: what a batch of texts costs. */

/** A text's token ids, special tokens included; at least one. */
export type TokenIds = Int32Array

export const longestOf = (batch: readonly TokenIds[]): number => Math.max(...batch.map(({ length }) => length))

/** The work of a batch: its tokens with the padding. */
export const paddedTokens = (batch: readonly TokenIds[]): number => batch.length * longestOf(batch)
