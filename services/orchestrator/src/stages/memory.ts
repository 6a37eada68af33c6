/**
 * Memory: what a user said about themselves in one session is known in the next. Only the user's own words are kept, and only
 * their owner's are ever given back. Texts are compared by meaning, as vectors of one embedding model. Without that model a turn
 * loses its memory once, then no time, and what was to be remembered is kept until the model is back.
 */
import type { Log } from '@hearth/shared/telemetry'
import { Breaker } from './breaker.ts'
import type { Embedder } from './embeddings.ts'
import { within } from './limit.ts'
import { isRefusal, MemoryBacklog } from './memory-backlog.ts'
import type { Statements } from './memory-backlog.ts'
import { statementsOf, withoutOutdated } from './statements.ts'

/** `memories` are the user's own sentences, newest first. `model` made the vectors. */
export type Recalled = { readonly memories: readonly string[]; readonly model: string }

export type Said = { readonly text: string; readonly user: string; readonly session: string }

export interface Memory {
  /** What `user` once said that has to do with `text`; at most five sentences. */
  recall(text: string, user: string, signal: AbortSignal): Promise<Recalled>
  /** Keeps what is worth keeping of what the user said. */
  remember(said: Said, signal: AbortSignal): Promise<void>
}

/** One sentence as it is stored. `vector` has length 1 (Euclidean), so that a dot product is a cosine. */
export type MemoryRow = Said & {
  readonly kind: 'statement'
  readonly model: string
  readonly vector: Float32Array
}

export type MemoryQuery = {
  readonly user: string
  readonly model: string
  readonly vector: Float32Array
  readonly limit: number
  /** Cosine below which a row has nothing to do with the question. */
  readonly threshold: number
}

export interface MemoryStore {
  /** A sentence that the user has said before is not stored twice; it becomes the newest. */
  add(row: MemoryRow): void
  /** Texts of the nearest rows of this user and model, newest first. */
  search(query: MemoryQuery): string[]
  close(): void
}

export type MemoryOptions = {
  readonly embedder: Embedder
  readonly store: MemoryStore
  readonly threshold: number
  /** Longer than this a turn never waits for `recall`, nor for `remember`. */
  readonly budgetMs: number
  readonly log: Pick<Log, 'info' | 'warn'>
}

/** `close` stops its work in the background; what is kept then is lost. */
export type ClosableMemory = Memory & { close(): void }

const MOST_RECALLED = 5
/** Of one utterance; a long dictation does not become a hundred rows. */
const MOST_STATEMENTS = 10
const QUESTION_CHARS = 500

/** Of the embedding model, whose answer is not looked at. */
const PROBE = ['.']
/** Short enough for memories to be back within ten seconds of the model. */
const PROBE_EVERY_MS = 5000

/** `remember` also throws when it keeps for later what it was given. */
export function createMemory({ embedder, store, threshold, budgetMs, log }: MemoryOptions): ClosableMemory {
  const backlog = new MemoryBacklog({ store: storeGuarded, retryMs: PROBE_EVERY_MS, log })
  const breaker = new Breaker({
    stage: 'memory',
    probe: (signal) => embedder.embed(PROBE, signal),
    probeLimitMs: budgetMs,
    openMs: PROBE_EVERY_MS,
    onBack: () => void backlog.replay(),
    log,
  })

  async function find(text: string, user: string, limit: AbortSignal): Promise<Recalled> {
    const { vectors, model } = await embedder.embed([text.slice(0, QUESTION_CHARS)], limit)
    const [vector] = vectors
    limit.throwIfAborted()
    const found = vector ? store.search({ user, model, vector, limit: MOST_RECALLED, threshold }) : []
    return { memories: withoutOutdated(found), model }
  }

  async function storeAll(said: readonly Statements[], signal: AbortSignal): Promise<void> {
    const rows = said.flatMap(({ statements, user, session }) => statements.map((text) => ({ text, user, session })))
    const texts = rows.map(({ text }) => text)
    const { vectors, model } = await embedder.embed(texts, signal)
    signal.throwIfAborted()
    for (const [index, row] of rows.entries()) {
      const vector = vectors[index]
      if (vector) store.add({ ...row, kind: 'statement', model, vector })
    }
  }

  async function storeGuarded(said: readonly Statements[], signal: AbortSignal): Promise<void> {
    return breaker.call(() => storeAll(said, signal), signal)
  }

  return {
    recall: (text, user, signal) =>
      breaker.call(() => within(budgetMs, signal, (limit) => find(text, user, limit)), signal),

    async remember({ text, user, session }, signal) {
      const said = { statements: statementsOf(text).slice(0, MOST_STATEMENTS), user, session }
      if (said.statements.length === 0) return
      // Not ahead of what was said before; and a turn that has just waited for the model in vain does not wait again.
      if (backlog.size > 0 || breaker.isFailing) throw backlog.keep(said)
      const storing = () => within(budgetMs, signal, (limit) => storeAll([said], limit))
      await breaker.call(storing, signal).catch((error: unknown) => {
        signal.throwIfAborted()
        throw isRefusal(error) ? error : backlog.keep(said, error)
      })
    },

    close() {
      breaker.close()
      backlog.close()
    },
  }
}
