/**
 * `POST /api/pull`, as Ollama has it: brings a model's files into the cache, without loading it. Callers who want the same share one download; one
 * that breaks off is resumed by the next.
 */
import * as z from 'zod'
import { toAppError } from './errors.ts'
import { keyOf, type ModelChoice } from './model-choice.ts'
import { Newest } from './newest.ts'
import type { FetchProgress } from './model-status.ts'

export const PullRequest = z.strictObject({
  model: z.string().min(1).describe('`org/name` or `org/name@revision`, of those that this service may hold.'),
  stream: z.boolean().default(true).describe('`false`: one line, when all is there.'),
  insecure: z.boolean().optional().describe('Taken without effect.'),
})

export type Pull = (onProgress: (progress: FetchProgress) => void, signal: AbortSignal) => Promise<unknown>

const QUIET_MS = 15_000
const EVERY_MS = 100

/** Lines of JSON: Ollama's states and byte counts. A failure is the last line, because the status has gone out by then. */
export async function* pullLines(
  choice: ModelChoice,
  pull: Pull,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  yield line({ status: 'pulling manifest' })
  const news = new Newest<FetchProgress>(EVERY_MS)
  const done = pull((progress) => news.push(progress), signal).finally(() => news.end())
  done.catch(() => undefined)
  try {
    for (let read = await news.next(QUIET_MS); read !== 'ended'; read = await news.next(QUIET_MS))
      // Something is told even when nothing moves: a proxy would take silence for the end.
      yield line(read === 'quiet' ? { status: `pulling ${choice.id}` } : progressOf(choice, read.value))
    await done
    yield line({ status: 'success' })
  } catch (error) {
    yield line({ error: toAppError(error).message })
  }
}

const line = (value: object): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value)}\n`)

const progressOf = (choice: ModelChoice, { bytes, totalBytes }: FetchProgress) => ({
  status: `pulling ${choice.id}`,
  digest: keyOf(choice),
  total: totalBytes,
  completed: bytes,
})
