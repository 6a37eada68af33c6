/** What `POST /v1/embeddings` takes: OpenAI's fields and the bounds of each. */
import * as z from 'zod'

/** The names under which callers know this model, beside its own. */
export const MODEL_ALIASES = [
  'text-embedding-3-small',
  'text-embedding-3-large',
  'text-embedding-ada-002',
  'all-MiniLM-L6-v2',
] as const

export const EmbeddingRequest = z.strictObject({
  model: z.string().optional(),
  input: z.union(
    [z.string(), z.array(z.string())],
    'expected a text or a list of texts; token ids are of another model and not taken',
  ),
  /** OpenAI's clients ask for base64 when their caller asks for nothing. */
  encoding_format: z.enum(['float', 'base64'], 'expected float or base64').default('float'),
  dimensions: z.int().min(1).optional(),
  user: z.string().max(256).optional(),
})
export type EmbeddingRequest = z.infer<typeof EmbeddingRequest>
