/** The embeddings service's HTTP surface: OpenAI's `POST /v1/embeddings` and list of models, and Ollama's embedding endpoints. */
import type { AppEnv } from '@hearth/shared/http'
import { EmbeddingRequest } from '@hearth/shared/model-api'
import { createModelApp } from '@hearth/shared/model-app'
import { readJson } from '@hearth/shared/request-body'
import type { Hono } from 'hono'
import { embedInput } from './embed-input.ts'
import type { EmbeddingsAppOptions } from './embed-input.ts'
import { MODEL_ALIASES } from './embedding-request.ts'
import { addOllamaRoutes } from './ollama.ts'

/** Room for each allowed text to be long; a text's own limit is in tokens. */
const BYTES_PER_TEXT = 32_768
const LEAST_BODY_BYTES = 2_097_152

/** The service as a Hono app, without a server: POST /v1/embeddings, Ollama's (ollama.ts), and what every model service has. */
export function createEmbeddingsApp(options: EmbeddingsAppOptions): Hono<AppEnv> {
  const { app, use } = createModelApp(options, {
    service: 'embeddings',
    maxBodyBytes: Math.max(LEAST_BODY_BYTES, options.maxTexts * BYTES_PER_TEXT),
    aliases: MODEL_ALIASES,
    task: 'feature-extraction',
    family: () => 'bert',
  })

  app.post('/v1/embeddings', async (c) => {
    const request = await readJson(c, EmbeddingRequest)
    const lease = () => use(c, request.model)
    const { vectors, tokens, model } = await embedInput(c, request, { ...options, lease })
    const written = request.encoding_format === 'base64' ? toBase64 : (vector: Float32Array) => Array.from(vector)
    return c.json({
      object: 'list',
      data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: written(vector) })),
      model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    })
  })
  addOllamaRoutes(app, options, use)

  return app
}

/** Little-endian float32, as OpenAI's clients decode it; every platform Node runs models on is little-endian. */
const toBase64 = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
