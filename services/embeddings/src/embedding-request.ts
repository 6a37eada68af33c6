/** What a model's name in `POST /v1/embeddings` may be. */

/** The names under which callers know this model, beside its own. */
export const MODEL_ALIASES = [
  'text-embedding-3-small',
  'text-embedding-3-large',
  'text-embedding-ada-002',
  'all-MiniLM-L6-v2',
  'all-minilm',
] as const
