/** What a request wants embedded, checked and tokenised: every refusal names the text at fault by its place. */
import { AppError } from '@hearth/shared/errors'
import type { EmbeddingInput } from '@hearth/shared/model-api'
import { eventLoopTurns } from '@hearth/shared/waits'
import type { TokenIds } from './padding.ts'
import type { Tokenizer } from './tokenizer.ts'

/** Texts with more characters per allowed token are refused unseen: tokens of natural text have 3 to 5. */
const MAX_CHARS_PER_TOKEN = 32

type Text = string | readonly number[]

export type Tokenized = {
  readonly rows: readonly TokenIds[]
  /** Places of the texts that were cut at the model's limit. */
  readonly truncated: readonly number[]
}

/** Throws `invalid_request`, `batch_too_large`, `empty_text`. */
export function checkTexts(input: EmbeddingInput, maxTexts: number): void {
  const texts = listOf(input)
  if (texts.length === 0) throw refusal('invalid_request', 'input: expected at least one text')
  if (texts.length > maxTexts)
    throw refusal('batch_too_large', `input: expected at most ${maxTexts} texts, got ${texts.length}`)
  const empty = texts.findIndex((text) => typeof text === 'string' && !/\S/.test(text))
  if (empty >= 0) throw refusal('empty_text', `${place(input, empty)}: expected a text that is not empty or blank`)
}

/** Token ids of each text. Throws `input_too_long` (unless `truncate`), `invalid_request` (ids of no token), the signal's reason between two texts. */
export async function tokenizeTexts(
  input: EmbeddingInput,
  { tokenizer, truncate }: { tokenizer: Tokenizer; truncate: boolean },
  signal: AbortSignal,
): Promise<Tokenized> {
  const texts = listOf(input)
  const most = tokenizer.maxTokens * MAX_CHARS_PER_TOKEN
  const longest = truncate ? -1 : texts.findIndex((text) => typeof text === 'string' && text.length > most)
  if (longest >= 0) throw tooLong(place(input, longest), tokenizer, `${texts[longest]?.length} characters`)
  const rows: TokenIds[] = []
  const truncated: number[] = []
  const turn = eventLoopTurns(signal)
  for (const [at, text] of texts.entries()) {
    const isCut = typeof text === 'string' && text.length > most
    const ids =
      typeof text === 'string' ? tokenizer.encode(isCut ? beginning(text, most) : text) : Int32Array.from(text)
    if (typeof text !== 'string') checkIds(place(input, at), ids, tokenizer)
    const isLong = ids.length > tokenizer.maxTokens
    if (isLong && !truncate) throw tooLong(place(input, at), tokenizer, `${ids.length}`)
    rows.push(isLong ? cutAt(ids, tokenizer.maxTokens) : ids)
    if (isLong || isCut) truncated.push(at)
    await turn()
  }
  return { rows, truncated }
}

const beginning = (text: string, chars: number): string => text.slice(0, chars).toWellFormed()

/** The last token stays: it is the mark that ends a text. */
function cutAt(ids: TokenIds, maxTokens: number): TokenIds {
  const cut = ids.slice(0, maxTokens)
  cut[maxTokens - 1] = ids.at(-1) ?? 0
  return cut
}

function checkIds(where: string, ids: TokenIds, { vocabularySize }: Tokenizer): void {
  const unknown = ids.findIndex((id) => id >= vocabularySize)
  if (unknown < 0) return
  throw refusal('invalid_request', `${where}: expected ids below ${vocabularySize}, this model's vocabulary`)
}

const tooLong = (where: string, { maxTokens }: Tokenizer, got: string): AppError =>
  refusal('input_too_long', `${where}: expected at most ${maxTokens} tokens, got ${got}; "truncate": true cuts`)

const refusal = (code: 'invalid_request' | 'batch_too_large' | 'empty_text' | 'input_too_long', message: string) =>
  new AppError(code, message, { param: 'input' })

function listOf(input: EmbeddingInput): readonly Text[] {
  if (typeof input === 'string') return [input]
  return isOneText(input) ? [input] : input
}

/** A list of numbers is the token ids of one text. */
const isOneText = (input: Exclude<EmbeddingInput, string>): input is number[] => typeof input[0] === 'number'

const place = (input: EmbeddingInput, at: number): string =>
  typeof input === 'string' || isOneText(input) ? 'input' : `input[${at}]`
