/**
 * Memory: what a user said about themselves in one session is known in the next. Only the user's own words are kept, and only their owner's are
 * ever given back. A turn asks it within a budget; what is to be kept is kept behind the turn, and waits while the model or the store is away.
 */
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { Breaker } from './breaker.ts'
import type { Embedder } from './embeddings.ts'
import { within } from './limit.ts'
import { Enrichment } from './memory-enrich.ts'
import type { NoteWriter } from './memory-enrich.ts'
import { isRefusal, MemoryBacklog } from './memory-backlog.ts'
import type { Statements } from './memory-backlog.ts'
import { keepFacts } from './memory-keep.ts'
import type { NoteStore } from './memory-note.ts'
import { recallNotes } from './memory-recall.ts'
import type { Recalled } from './memory-recall.ts'
import { Reembedding } from './memory-reembed.ts'
import { PerUser } from './per-user.ts'
import { statementsOf } from './statements.ts'

export type Said = {
  readonly text: string
  readonly user: string
  readonly session: string
  /** The turn in which it was said. */
  readonly turn?: string | undefined
}

export interface Memory {
  /** What `user` once said that has to do with `text`; at most five notes. */
  recall(text: string, user: string, signal: AbortSignal): Promise<Recalled>
  /** Takes on what is worth keeping of what the user said, and returns: it is kept behind the turn. */
  remember(said: Said, signal: AbortSignal): Promise<void>
}

/** Where what is to be kept waits, so that it outlives this process. Settles with whether it was taken. */
export type RememberQueue = {
  add(said: Statements): Promise<boolean>
  /** Resolves once nothing of the user waits that was added here. */
  settled(user: string): Promise<void>
}

export type MemoryOptions = {
  readonly embedder: Embedder
  readonly store: NoteStore
  readonly threshold: number
  /** Longer than this a turn never waits for `recall`. */
  readonly budgetMs: number
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** Where there is a Redis; `keep` below is what runs its jobs. */
  readonly queue?: RememberQueue | undefined
  /** Where a language model on a server may look at new notes. */
  readonly writer?: NoteWriter | undefined
}

export type ClosableMemory = Memory & {
  /** Keeps statements now: the work of a job. Throws what the store and the embedder throw. */
  keep(said: readonly Statements[], signal: AbortSignal): Promise<void>
  /** Resolves when what the user has said so far is kept, or has to wait, or after the limit; throws the signal's reason. */
  settledFor(user: string, limitMs: number, signal: AbortSignal): Promise<void>
  /** Resolves when nothing is being kept or embedded anew. */
  settled(): Promise<void>
  /** Stops its work in the background; what is kept for later in this process is lost. */
  close(): void
}

/** Of one utterance; a long dictation does not become a hundred notes. */
const MOST_STATEMENTS = 10
/** For keeping what one turn said, behind it. */
const KEEP_LIMIT_MS = 10_000

const PROBE = { text: '.', user: '' }
/** Short enough for memories to be back within ten seconds of the model. */
const PROBE_EVERY_MS = 5000

/** `remember` throws when what it was given has to wait for a model or a store that is away. */
export function createMemory(options: MemoryOptions): ClosableMemory {
  const { embedder, store, threshold, budgetMs, log, now = Date.now, queue, writer } = options
  const closing = new AbortController()
  const enrichment = writer && new Enrichment({ store, writer, log })
  const reembedding = new Reembedding({ store, embedder, log })
  const backlog = new MemoryBacklog({ store: keep, retryMs: PROBE_EVERY_MS, log })
  const breaker = new Breaker({
    stage: 'memory',
    probe: (signal) => find(PROBE.text, PROBE.user, signal),
    probeLimitMs: budgetMs,
    openMs: PROBE_EVERY_MS,
    onBack: () => void backlog.replay(),
    log,
  })
  /** What is being kept now: whoever asks next waits for it. */
  const keeping = new PerUser()

  const find = (text: string, user: string, limit: AbortSignal): Promise<Recalled> =>
    recallNotes(text, user, { embedder, store, threshold, now, onModel: (model) => reembedding.noticed(model) }, limit)

  async function keep(said: readonly Statements[], signal: AbortSignal): Promise<void> {
    const facts = said.flatMap(({ statements, ...rest }) =>
      statements.map((text) => ({ ...rest, text, kind: 'statement' as const })),
    )
    const kept = await breaker.call(
      () => within(KEEP_LIMIT_MS, signal, (limit) => keepFacts(facts, { store, embedder }, limit)),
      signal,
    )
    if (!kept) return
    reembedding.noticed(kept.embedding)
    enrichment?.add(kept.notes)
  }

  const settledFor = (user: string, limitMs: number, signal: AbortSignal): Promise<void> =>
    within(limitMs, signal, async () => {
      await keeping.settled(user)
      await queue?.settled(user)
    }).catch(() => signal.throwIfAborted())

  /** Behind the turn. Never rejects: what can't be kept now waits. */
  async function keepBehind(said: Statements): Promise<void> {
    try {
      if (queue && (await queue.add(said))) return
      await keep([said], closing.signal)
    } catch (error) {
      if (isRefusal(error)) log.warn({ err: error }, 'what was said is refused, and lost')
      else backlog.keep(said, error)
    }
  }

  return {
    keep,
    settledFor,

    recall(text, user, signal) {
      enrichment?.pause()
      return breaker.call(
        () =>
          within(budgetMs, signal, async (limit) => {
            // What the user has just said is found too, unless keeping it takes so long that nothing would be found in time.
            await settledFor(user, budgetMs / 2, limit)
            return find(text, user, limit)
          }),
        signal,
      )
    },

    async remember({ text, user, session, turn = null }, signal) {
      signal.throwIfAborted()
      const statements = statementsOf(text).slice(0, MOST_STATEMENTS)
      if (statements.length === 0) return
      const said = { statements, user, session, turn, saidAt: now() }
      // Not ahead of what was said before; and who has just waited for the model in vain is told so.
      const mustWait = backlog.size > 0 || breaker.isFailing
      if (mustWait && !queue) throw backlog.keep(said)
      keeping.add(user, () => keepBehind(said))
      if (mustWait) throw waits()
    },

    async settled() {
      await keeping.allSettled()
      await reembedding.settled()
    },

    close() {
      closing.abort()
      enrichment?.close()
      breaker.close()
      backlog.close()
      reembedding.close()
    },
  }
}

const waits = (): AppError =>
  new AppError('dependency_unavailable', 'memory: it is away; what was said is kept for later', {
    details: { stage: 'memory' },
  })
