/** The embeddings service's HTTP surface: OpenAI's `POST /v1/embeddings`, and the list of models. */
import { AppError } from '@hearth/shared/errors'
import { requestSignal, setTimings } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { EmbeddingRequest } from '@hearth/shared/model-api'
import { createModelApp } from '@hearth/shared/model-app'
import type { ModelAppOptions } from '@hearth/shared/model-app'
import { readJson } from '@hearth/shared/request-body'
import type { Hono } from 'hono'
import { embed } from './embed.ts'
import { MODEL_ALIASES } from './embedding-request.ts'
import type { TokenIds } from './padding.ts'
import { checkTexts, tokenizeTexts } from './texts.ts'
import type { Tokenizer } from './tokenizer.ts'

export type EmbeddingsAppOptions = ModelAppOptions<TokenIds, Float32Array> & {
  /** Null until the model's files are there. */
  readonly tokenizer: () => Tokenizer | null
  /** Texts of one request. */
  readonly maxTexts: number
}

/** Room for each allowed text to be long; a text's own limit is in tokens. */
const BYTES_PER_TEXT = 32_768
const LEAST_BODY_BYTES = 2_097_152

/** The service as a Hono app, without a server: POST /v1/embeddings, GET /v1/models, /v1/models/:id. */
export function createEmbeddingsApp(options: EmbeddingsAppOptions): Hono<AppEnv> {
  const { model, maxTexts } = options
  const { app, requireModel } = createModelApp(options, {
    service: 'embeddings',
    maxBodyBytes: Math.max(LEAST_BODY_BYTES, maxTexts * BYTES_PER_TEXT),
    aliases: MODEL_ALIASES,
    task: 'feature-extraction',
  })

  app.post('/v1/embeddings', async (c) => {
    const request = await readJson(c, EmbeddingRequest)
    requireModel(request.model)
    checkTexts(request.input, maxTexts)
    const signal = requestSignal(c)
    const tokenizer = await knownTokenizer(options, signal)
    checkDimensions(request.dimensions, tokenizer)
    const rows = await tokenizeTexts(request.input, tokenizer, signal)
    const tokens = rows.reduce((sum, ids) => sum + ids.length, 0)
    const embedded = await embed(rows, (ids, until) => model.submit(ids, until), signal)
    setTimings(c, embedded)
    const written = request.encoding_format === 'base64' ? toBase64 : (vector: Float32Array) => Array.from(vector)
    return c.json({
      object: 'list',
      data: embedded.vectors.map((vector, index) => ({ object: 'embedding', index, embedding: written(vector) })),
      model: embedded.model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    })
  })

  return app
}

async function knownTokenizer({ model, tokenizer }: EmbeddingsAppOptions, signal: AbortSignal): Promise<Tokenizer> {
  if (tokenizer() === null) await model.ready(signal)
  const known = tokenizer()
  if (known === null) throw new AppError('internal_error', 'this is a bug: a model is ready without its tokenizer')
  return known
}

/** The model's vectors can't be shortened without loss. */
function checkDimensions(wanted: number | undefined, { dimensions }: Tokenizer): void {
  if (wanted === undefined || wanted === dimensions) return
  throw new AppError(
    'invalid_request',
    `dimensions: expected ${dimensions}, the size of this model's vectors, got ${wanted}`,
    {
      param: 'dimensions',
    },
  )
}

/** Little-endian float32, as OpenAI's clients decode it; every platform Node runs models on is little-endian. */
const toBase64 = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
