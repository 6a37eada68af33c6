/** The texts of a request, checked and tokenised: every refusal names the text at fault by its place. */
import { AppError } from '@hearth/shared/errors'
import { eventLoopTurns } from '@hearth/shared/waits'
import type { Tokenizer } from './tokenizer.ts'

/** Texts with more characters per allowed token are refused unseen: tokens of natural text have 3 to 5. */
const MAX_CHARS_PER_TOKEN = 32

/** Throws `invalid_request`, `batch_too_large`, `empty_text`. */
export function checkTexts(input: string | readonly string[], maxTexts: number): void {
  const texts = listOf(input)
  if (texts.length === 0) throw new AppError('invalid_request', 'input: expected at least one text', { param: 'input' })
  if (texts.length > maxTexts)
    throw new AppError('batch_too_large', `input: expected at most ${maxTexts} texts, got ${texts.length}`, {
      param: 'input',
    })
  const empty = texts.findIndex((text) => !/\S/.test(text))
  if (empty >= 0)
    throw new AppError('empty_text', `${place(input, empty)}: expected a text that is not empty or blank`, {
      param: 'input',
    })
}

/** Token ids of each text. Throws `input_too_long`, and the signal's reason between two texts. */
export async function tokenizeTexts(
  input: string | readonly string[],
  tokenizer: Tokenizer,
  signal: AbortSignal,
): Promise<Int32Array[]> {
  const { maxTokens } = tokenizer
  const tooLong = (at: number, got: string) =>
    new AppError('input_too_long', `${place(input, at)}: expected at most ${maxTokens} tokens, got ${got}`, {
      param: 'input',
    })
  const texts = listOf(input)
  const longest = texts.findIndex((text) => text.length > maxTokens * MAX_CHARS_PER_TOKEN)
  if (longest >= 0) throw tooLong(longest, `${texts[longest]?.length} characters`)
  const rows: Int32Array[] = []
  const turn = eventLoopTurns(signal)
  for (const [at, text] of texts.entries()) {
    const ids = tokenizer.encode(text)
    if (ids.length > maxTokens) throw tooLong(at, `${ids.length}`)
    rows.push(ids)
    await turn()
  }
  return rows
}

const listOf = (input: string | readonly string[]): readonly string[] => (typeof input === 'string' ? [input] : input)

const place = (input: string | readonly string[], at: number): string =>
  typeof input === 'string' ? 'input' : `input[${at}]`
