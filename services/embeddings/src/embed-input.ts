/** The way of a request's texts to their vectors, whichever dialect it came in: checked, tokenised, batched, cut to size. */
import { AppError } from '@hearth/shared/errors'
import type { EmbeddingInput } from '@hearth/shared/model-api'
import { requestSignal, setTimings } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import type { ModelAppOptions } from '@hearth/shared/model-app'
import type { ModelLease } from '@hearth/shared/model-seat'
import type { Context } from 'hono'
import { checkDimensions, shortened } from './dimensions.ts'
import { embed } from './embed.ts'
import type { ModelIdentity } from './model-identity.ts'
import type { TokenIds } from './padding.ts'
import { checkTexts, tokenizeTexts } from './texts.ts'
import type { Tokenizer } from './tokenizer.ts'

/** What the serving side reads of a model's files. */
export type TextModel = Tokenizer & Partial<ModelIdentity>

export type EmbeddingModel = ModelLease<TokenIds, Float32Array, TextModel>

export type EmbeddingsAppOptions = ModelAppOptions<TokenIds, Float32Array, TextModel> & {
  /** Texts of one request. */
  readonly maxTexts: number
}

export type Wanted = {
  readonly input: EmbeddingInput
  readonly truncate: boolean
  readonly dimensions?: number | undefined
}

export type EmbeddedInput = {
  readonly vectors: readonly Float32Array[]
  /** Of all texts, special tokens included, padding not. */
  readonly tokens: number
  readonly model: string
}

/** `lease` gives the model once the texts are known to be in order. Also sets the reply's headers: times, the model's revision, and the places of texts that were cut (`x-truncated`). */
export async function embedInput(
  c: Context<AppEnv>,
  { input, truncate, dimensions }: Wanted,
  { lease, maxTexts }: { lease: () => Promise<EmbeddingModel>; maxTexts: number },
): Promise<EmbeddedInput> {
  checkTexts(input, maxTexts)
  const signal = requestSignal(c)
  const model = await lease()
  const tokenizer = await knownTokenizer(model, signal)
  checkDimensions(dimensions, tokenizer)
  const { rows, truncated } = await tokenizeTexts(input, { tokenizer, truncate }, signal)
  const tokens = rows.reduce((sum, ids) => sum + ids.length, 0)
  const embedded = await embed(rows, (ids, until) => model.submit(ids, until), signal)
  setTimings(c, embedded)
  if (truncated.length > 0) c.header('x-truncated', truncated.join(','))
  if (tokenizer.revision !== undefined) c.header('x-model-revision', tokenizer.revision)
  return { vectors: embedded.vectors.map((vector) => shortened(vector, dimensions)), tokens, model: embedded.model }
}

async function knownTokenizer(model: EmbeddingModel, signal: AbortSignal): Promise<TextModel> {
  if (model.prepared === null) await model.ready(signal)
  if (model.prepared === null)
    throw new AppError('internal_error', 'this is a bug: a model is ready without its tokenizer')
  return model.prepared
}
