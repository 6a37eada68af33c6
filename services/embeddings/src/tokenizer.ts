/**
 * Text to token ids, on the thread that serves HTTP: what is too long is known before it is queued, and the batcher sees how
 * much work each text is. A text is looked at only up to a length that no fitting text reaches, so the time is bounded.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Tokenizer as Tokens } from '@huggingface/tokenizers'
import * as z from 'zod'

export type Tokenizer = {
  /** Token ids with the model's special tokens, in memory of their own. */
  encode(text: string): Int32Array
  /** Tokens of a text at most, special ones included. */
  readonly maxTokens: number
  /** Size of the model's vectors. */
  readonly dimensions: number
  /** Shorter sizes to which the vectors can be cut: a list, any, or none. */
  readonly shorterSizes: readonly number[] | 'any'
  readonly vocabularySize: number
}

/** `is_matryoshka` and `matryoshka_dimensions` are vLLM's words for models whose vectors begin with what matters most. */
const ModelShape = z.object({
  hidden_size: z.number(),
  max_position_embeddings: z.number(),
  vocab_size: z.number(),
  is_matryoshka: z.boolean().optional(),
  matryoshka_dimensions: z.array(z.int()).optional(),
})
/** Some exports write "no limit" as a huge number, or nothing. */
const TokenizerShape = z.looseObject({ model_max_length: z.number().optional() })

/** Throws when a file is missing or not of the expected form. */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  const json = async (file: string): Promise<unknown> => JSON.parse(await readFile(join(dir, file), 'utf8'))
  const [rules, settings, model] = await Promise.all([
    json('tokenizer.json').then((value) => z.looseObject({}).parse(value)),
    json('tokenizer_config.json').then((value) => TokenizerShape.parse(value)),
    json('config.json').then((value) => ModelShape.parse(value)),
  ])
  const tokens = new Tokens(rules, settings)
  return {
    encode: (text) => Int32Array.from(tokens.encode(text).ids),
    maxTokens: Math.min(model.max_position_embeddings, settings.model_max_length ?? Infinity),
    dimensions: model.hidden_size,
    shorterSizes: model.matryoshka_dimensions ?? (model.is_matryoshka ? 'any' : []),
    vocabularySize: model.vocab_size,
  }
}
