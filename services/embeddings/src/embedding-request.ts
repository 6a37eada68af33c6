/** What `POST /v1/embeddings` takes: OpenAI's fields and the bounds of each. */
import * as z from 'zod'

/** The names under which callers know this model, beside its own. */
export const MODEL_ALIASES = [
  'text-embedding-3-small',
  'text-embedding-3-large',
  'text-embedding-ada-002',
  'all-MiniLM-L6-v2',
  'all-minilm',
] as const

const LARGEST_INT32 = 2 ** 31 - 1
const tokenIds = z.array(z.int().min(0).max(LARGEST_INT32)).min(1)

/** A text, texts, one text's token ids, or several texts' token ids. */
export const EmbeddingInput = z.union([z.string(), z.array(z.string()), tokenIds, z.array(tokenIds)], {
  error: ({ input }) => whatIsWrong(input),
})
export type EmbeddingInput = z.infer<typeof EmbeddingInput>

export const EmbeddingRequest = z.strictObject({
  model: z.string().optional(),
  input: EmbeddingInput,
  /** OpenAI's clients ask for base64 when their caller asks for nothing. */
  encoding_format: z.enum(['float', 'base64'], 'expected float or base64').default('float'),
  dimensions: z.int().min(1).optional(),
  /** Texts beyond the model's limit are cut there; without it they are refused. */
  truncate: z.boolean().default(false),
  user: z.string().max(256).optional(),
})
export type EmbeddingRequest = z.infer<typeof EmbeddingRequest>

const EXPECTED = 'expected a text, a list of texts, or token ids of this model'

/** The first place at which a list is not like its beginning; never its content. */
function whatIsWrong(input: unknown): string {
  if (!Array.isArray(input)) return `${EXPECTED}, got ${kindOf(input)}`
  const kinds = Array.from(input, kindOf)
  const odd = kinds.findIndex((kind) => kind !== kinds[0])
  return odd > 0 ? `input[${odd}]: expected ${kinds[0]} as before, got ${kinds[odd]}` : EXPECTED
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return 'a text'
  if (Array.isArray(value)) return 'a list'
  return value === null || value === undefined ? 'nothing' : `a ${typeof value}`
}
