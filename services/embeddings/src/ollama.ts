/**
 * Ollama's embedding endpoints, for clients that speak only those: `POST /api/embed`, the older `POST /api/embeddings`, and `GET /api/ps`.
 * Errors have Ollama's shape. The model is always in memory, so `keep_alive` is taken and has no effect.
 */
import { errorResponse } from '@hearth/shared/error-response'
import { toAppError } from '@hearth/shared/errors'
import { requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { readJson } from '@hearth/shared/request-body'
import type { Context, Hono } from 'hono'
import * as z from 'zod'
import { embedInput } from './embed-input.ts'
import type { EmbeddingsAppOptions } from './embed-input.ts'

/** A duration ("5m") or seconds; -1 is for ever. */
const keepAlive = z.union([z.string().max(32), z.number()]).optional()
const options = z.looseObject({}).optional()

const EmbedRequest = z.strictObject({
  model: z.string(),
  input: z.union([z.string(), z.array(z.string())], 'expected a text or a list of texts').optional(),
  truncate: z.boolean().default(true),
  dimensions: z.int().min(1).optional(),
  keep_alive: keepAlive,
  options,
})
const LegacyRequest = z.strictObject({
  model: z.string(),
  prompt: z.string().default(''),
  keep_alive: keepAlive,
  options,
})

const NANOSECONDS_PER_MS = 1e6
const FOR_EVER = '9999-12-31T23:59:59Z'

/** Adds the routes. `requireModel` throws unless the name is known. */
export function addOllamaRoutes(
  app: Hono<AppEnv>,
  appOptions: EmbeddingsAppOptions,
  requireModel: (name: string) => void,
): void {
  const { model, tokenizer, now = () => performance.now() } = appOptions

  app.post('/api/embed', (c) =>
    inOllamasShape(c, async () => {
      const { model: name, input, truncate, dimensions } = await readJson(c, EmbedRequest)
      requireModel(plainName(name))
      const startedAt = now()
      const took = () => Math.round((now() - startedAt) * NANOSECONDS_PER_MS)
      if (input === undefined || input.length === 0) {
        await model.ready(requestSignal(c))
        return c.json({ model: name, embeddings: [], total_duration: took(), load_duration: took() })
      }
      const { vectors, tokens } = await embedInput(c, { input, truncate, dimensions }, appOptions)
      const embeddings = vectors.map((vector) => Array.from(vector))
      return c.json({ model: name, embeddings, total_duration: took(), load_duration: 0, prompt_eval_count: tokens })
    }),
  )

  app.post('/api/embeddings', (c) =>
    inOllamasShape(c, async () => {
      const { model: name, prompt } = await readJson(c, LegacyRequest)
      requireModel(plainName(name))
      if (prompt === '') {
        await model.ready(requestSignal(c))
        return c.json({ embedding: [] })
      }
      const { vectors } = await embedInput(c, { input: prompt, truncate: true }, appOptions)
      return c.json({ embedding: Array.from(vectors[0] ?? []) })
    }),
  )

  app.get('/api/ps', (c) => {
    const { id, state } = model.status
    if (state !== 'ready') return c.json({ models: [] })
    const { sizeBytes = 0, revision = '' } = tokenizer() ?? {}
    const details = { parent_model: '', format: 'onnx', family: 'bert', families: ['bert'] }
    const sizes = { parameter_size: '', quantization_level: revision.split('-').at(-1) ?? '' }
    const entry = { name: id, model: id, size: sizeBytes, digest: revision, details: { ...details, ...sizes } }
    return c.json({ models: [{ ...entry, expires_at: FOR_EVER, size_vram: 0 }] })
  })
}

const plainName = (name: string): string => name.replace(/:latest$/, '')

/** `{"error": "text"}`, with the status and headers that the error has in the other dialect. */
async function inOllamasShape(c: Context<AppEnv>, answer: () => Promise<Response>): Promise<Response> {
  try {
    return await answer()
  } catch (thrown) {
    const { code, message } = toAppError(thrown)
    c.set('code', code)
    const { status, headers } = errorResponse(thrown, c.get('requestId'))
    return Response.json({ error: message }, { status, headers })
  }
}
