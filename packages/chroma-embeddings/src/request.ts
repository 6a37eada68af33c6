/** One call to an embeddings server: every wait ends, and what comes back is checked to be vectors before a collection gets them. */

export type Server = {
  /** Without a trailing slash. */
  readonly url: string
  /** Name of the environment variable with the key; the key itself must never be in a stored configuration. */
  readonly apiKeyEnvVar?: string | undefined
  /** For one request. */
  readonly limitMs: number
}

/** Texts of one request. */
const MOST_TEXTS = 256

/** Vector i belongs to text i. `read` gives the vectors of an answer. Throws an Error that says what was expected and what came. */
export async function embedAll(
  texts: readonly string[],
  request: (texts: readonly string[]) => Promise<unknown>,
  read: (answer: unknown) => unknown,
): Promise<number[][]> {
  const vectors: number[][] = []
  for (let at = 0; at < texts.length; at += MOST_TEXTS) {
    const some = texts.slice(at, at + MOST_TEXTS)
    vectors.push(...checkVectors(read(await request(some)), some.length))
  }
  return vectors
}

/** Sends JSON and gives the answer's JSON. */
export async function post({ url, apiKeyEnvVar, limitMs }: Server, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...keyHeader(apiKeyEnvVar) },
    body: JSON.stringify(body),
    redirect: 'error',
    signal: AbortSignal.timeout(limitMs),
  })
  if (response.ok) return response.json()
  throw new Error(`${path} answered ${response.status}: ${messageOf(await response.json().catch(() => null))}`)
}

function keyHeader(variable: string | undefined): Record<string, string> {
  if (variable === undefined) return {}
  // eslint-disable-next-line node/no-process-env -- Chroma's own convention for keys
  const key = process.env[variable]
  if (!key) throw new Error(`expected a key in the environment variable ${variable}`)
  return { authorization: `Bearer ${key}` }
}

/** OpenAI's servers tell errors as `{error: {message}}`, Ollama as `{error: text}`. */
function messageOf(body: unknown): string {
  const error = field(body, 'error')
  const message = typeof error === 'string' ? error : field(error, 'message')
  return typeof message === 'string' ? message : 'no message'
}

export const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined

function checkVectors(value: unknown, expected: number): number[][] {
  if (!Array.isArray(value) || value.length !== expected)
    throw new Error(`expected ${expected} vectors, got ${Array.isArray(value) ? value.length : 'something else'}`)
  return value.map((vector) => {
    if (!isVector(vector)) throw new Error('expected a vector of finite numbers')
    return vector
  })
}

const isVector = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((number) => Number.isFinite(number))
