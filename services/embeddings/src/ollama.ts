/**
 * Ollama's embedding endpoints, for clients that speak only those: `POST /api/embed` and the older `POST /api/embeddings`. Errors have
 * Ollama's shape. `keep_alive` is obeyed from who may load and unload models (shared/access.ts), and else taken without effect.
 */
import { mayManage } from '@hearth/shared/access'
import { requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { KeepAlive } from '@hearth/shared/keep-alive'
import { inOllamasShape, plainName } from '@hearth/shared/ollama-shape'
import { readJson } from '@hearth/shared/request-body'
import type { Context, Hono } from 'hono'
import * as z from 'zod'
import { embedInput } from './embed-input.ts'
import type { EmbeddingModel, EmbeddingsAppOptions } from './embed-input.ts'

const keepAlive = KeepAlive.optional()
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

type Use = (c: Context<AppEnv>, name: string) => Promise<EmbeddingModel>

/** Adds the routes. `use` gives the model that a name means. */
export function addOllamaRoutes(app: Hono<AppEnv>, appOptions: EmbeddingsAppOptions, use: Use): void {
  const { slot, maxTexts, now = () => performance.now() } = appOptions
  /** The model that is named, which then stays for `keepMs`: only once it is the one that sits there. */
  const leaseOf = (c: Context<AppEnv>, name: string, keepMs: number | undefined) => async () => {
    const model = await use(c, plainName(name))
    if (keepMs === undefined) return model
    if (mayManage(c, appOptions.apiKey)) slot.keepAlive(keepMs)
    else c.header('x-ignored', 'keep_alive')
    return model
  }

  app.post('/api/embed', (c) =>
    inOllamasShape(c, async () => {
      const { model: name, input, truncate, dimensions, keep_alive: keepAliveMs } = await readJson(c, EmbedRequest)
      const lease = leaseOf(c, name, keepAliveMs)
      const startedAt = now()
      const took = () => Math.round((now() - startedAt) * NANOSECONDS_PER_MS)
      if (input === undefined || input.length === 0) {
        await (await lease()).ready(requestSignal(c))
        return c.json({ model: name, embeddings: [], total_duration: took(), load_duration: took() })
      }
      const { vectors, tokens } = await embedInput(c, { input, truncate, dimensions }, { lease, maxTexts })
      const embeddings = vectors.map((vector) => Array.from(vector))
      return c.json({ model: name, embeddings, total_duration: took(), load_duration: 0, prompt_eval_count: tokens })
    }),
  )

  app.post('/api/embeddings', (c) =>
    inOllamasShape(c, async () => {
      const { model: name, prompt, keep_alive: keepAliveMs } = await readJson(c, LegacyRequest)
      const lease = leaseOf(c, name, keepAliveMs)
      if (prompt === '') {
        await (await lease()).ready(requestSignal(c))
        return c.json({ embedding: [] })
      }
      const { vectors } = await embedInput(c, { input: prompt, truncate: true }, { lease, maxTexts })
      return c.json({ embedding: Array.from(vectors[0] ?? []) })
    }),
  )
}
