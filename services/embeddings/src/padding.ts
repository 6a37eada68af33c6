/** Rows of tokens as one rectangle: what a batch of texts costs. */

/** A text's token ids, special tokens included; at least one. */
export type TokenIds = Int32Array

const longestOf = (batch: readonly TokenIds[]): number => Math.max(...batch.map(({ length }) => length))

/** The work of a batch: its tokens with the padding. */
export const paddedTokens = (batch: readonly TokenIds[]): number => batch.length * longestOf(batch)

export type Padded = { readonly ids: BigInt64Array; readonly mask: BigInt64Array; readonly longest: number }

/** Token ids as [rows, longest], zero where a row is shorter, and a mask that is one on the rows' own tokens. */
export function padRows(batch: readonly TokenIds[]): Padded {
  const longest = longestOf(batch)
  const ids = new BigInt64Array(batch.length * longest)
  const mask = new BigInt64Array(batch.length * longest)
  for (const [row, tokens] of batch.entries()) {
    ids.set(BigInt64Array.from(tokens, BigInt), row * longest)
    mask.fill(1n, row * longest, row * longest + tokens.length)
  }
  return { ids, mask, longest }
}
