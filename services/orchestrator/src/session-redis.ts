/**
 * Sessions in Redis, as the orchestrator's replicas share them: one method for each script of session-scripts.ts, its arguments
 * and its answer checked. Each settles within a second, whatever Redis does, and throws `dependency_unavailable` or the signal's
 * reason.
 */
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { askRedis } from './redis.ts'
import { PREFIX, SCRIPTS } from './session-scripts.ts'
import { withoutIds } from './session-table.ts'
import type { Conversation, Kept, SessionDetail, SessionName, SessionSummary } from './session-table.ts'

export type SessionRedisOptions = {
  readonly maxSessions: number
  readonly maxTurns: number
  readonly idleMs: number
  /** A turn that hasn't renewed its lease for that long has died. */
  readonly leaseMs: number
}

/** What came of asking to enter. */
export type Taken =
  | { readonly state: 'busy'; readonly born: string }
  | { readonly state: 'deleted' }
  | { readonly state: 'full' }
  | { readonly state: 'known' | 'new'; readonly found: Conversation }

export type Deletions = { readonly now: string; readonly deleted: readonly (SessionName & { readonly born: string })[] }

const NOBODY: SessionName = { owner: '', id: '' }
/** A turn that waits and hasn't asked for that long has given up. */
const ASK_MS = 2000
/** A replica that was cut off for longer may bring back what was deleted meanwhile. */
const DELETED_MS = 86_400_000
/** Of one owner. */
const MOST_LISTED = 1000

const KeptExchange = z.object({
  id: z.string(),
  user: z.string(),
  results: z.array(z.object({ id: z.string(), content: z.string() })).optional(),
  reply: z.string(),
  calls: z.array(z.object({ id: z.string(), name: z.string(), args: z.string() })).optional(),
})
const Flag = z.literal([0, 1])
const Answers = {
  take: z.array(z.string()).min(1),
  renew: z.enum(['deleted', 'held', 'missing', 'mine']),
  append: z.union([z.enum(['deleted', 'missing']), z.tuple([z.string()])]),
  read: z.array(z.string()),
  list: z.array(z.tuple([z.string(), z.coerce.number(), z.coerce.number()])),
  deletions: z.tuple([z.string(), z.array(z.string())]),
}

export class SessionRedis {
  readonly #connection: Redis
  readonly #options: SessionRedisOptions

  constructor(connection: Redis, options: SessionRedisOptions) {
    this.#connection = connection
    this.#options = options
  }

  /** Enters the session for the turn `token`, unless others come first: then this keeps its place in the line for two seconds. */
  async take(name: SessionName, token: string, known: Conversation, signal: AbortSignal): Promise<Taken> {
    const { leaseMs, maxSessions } = this.#options
    const args = [token, leaseMs, ASK_MS, known.born, known.summary, maxSessions]
    return takenOf(await this.#run('take', name, args, Answers.take, signal))
  }

  /** Missing: Redis has lost the session. */
  renew(name: SessionName, token: string, born: string, signal: AbortSignal) {
    return this.#run('renew', name, [token, this.#options.leaseMs, born], Answers.renew, signal)
  }

  async leave(name: SessionName, token: string, signal: AbortSignal): Promise<void> {
    await this.#run('leave', name, [token], z.unknown(), signal)
  }

  /** Gives the beginning that they were added to. `mayBegin`: where there is no such session, `known` begins one. */
  append(name: SessionName, known: Conversation, added: readonly Kept[], mayBegin: boolean, signal: AbortSignal) {
    const { maxSessions, maxTurns } = this.#options
    const args = [known.born, known.summary, mayBegin ? 1 : 0, maxSessions, maxTurns, ...added.map(written)]
    return this.#run('append', name, args, Answers.append, signal)
  }

  async read(name: SessionName, signal: AbortSignal): Promise<SessionDetail | undefined> {
    const [usedAt, summary = '', ...texts] = await this.#run('read', name, [], Answers.read, signal)
    if (usedAt === undefined) return undefined
    const history = withoutIds(texts.map(exchange))
    return { id: name.id, turns: history.length, lastUsedAt: isoOf(Number(usedAt)), summary, history }
  }

  async list(owner: string, signal: AbortSignal): Promise<SessionSummary[]> {
    const listed = await this.#run('list', { owner, id: '' }, [MOST_LISTED], Answers.list, signal)
    return listed.map(([id, usedAt, turns]) => ({ id, turns, lastUsedAt: isoOf(usedAt) }))
  }

  /** False when Redis has no such session; either way the beginning `born` is not written back by anybody. */
  async delete(name: SessionName, born: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#run('delete', name, [born, DELETED_MS], Flag, signal)) === 1
  }

  /** What was deleted from the time `since`, which an earlier call gave, until now. */
  async deletions(since: string, signal: AbortSignal): Promise<Deletions> {
    const [now, names] = await this.#run('deletions', NOBODY, [since], Answers.deletions, signal)
    const deleted = names.map((text) => {
      const [born = '', owner = '', id = ''] = text.split(':')
      return { born, owner, id }
    })
    return { now, deleted }
  }

  /** True for the one replica that may write what goes in the place of `summary` within `limitMs`. */
  async claimSummary(name: SessionName, summary: string, limitMs: number, signal: AbortSignal): Promise<boolean> {
    return (await this.#run('claim', name, [limitMs, summary], Flag, signal)) === 1
  }

  /** Puts the summary in the place of everything up to `last`. False when that isn't there any more. */
  async condense(name: SessionName, born: string, last: Kept, summary: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#run('condense', name, [born, written(last), summary], Flag, signal)) === 1
  }

  onReady(listener: () => void): void {
    this.#connection.on('ready', listener)
  }

  /** Closes the connection. */
  close(): void {
    this.#connection.disconnect()
  }

  #run<T>(
    name: keyof typeof SCRIPTS,
    { owner, id }: SessionName,
    args: readonly (string | number)[],
    answer: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { text, sha } = SCRIPTS[name]
    const all = [PREFIX, owner, id, this.#options.idleMs, ...args]
    return askRedis(this.#connection, signal, async () => {
      const told = await this.#connection.evalsha(sha, 1, ...all).catch((error: unknown) => {
        if (error instanceof Error && error.message.startsWith('NOSCRIPT'))
          return this.#connection.eval(text, 1, ...all)
        throw error
      })
      return answer.parse(told)
    })
  }
}

function takenOf([state, born = '', summary = '', ...texts]: readonly string[]): Taken {
  if (state === 'busy') return { state, born }
  if (state === 'deleted' || state === 'full') return { state }
  if (state === 'known' || state === 'new') return { state, found: { born, summary, history: texts.map(exchange) } }
  throw new TypeError(`expected the state of a session, got ${state}`)
}

/** The same text for the same exchange, always: Redis compares them. */
const written = ({ id, user, reply }: Kept): string => JSON.stringify({ id, user, reply })
const exchange = (text: string): Kept => KeptExchange.parse(JSON.parse(text))
const isoOf = (ms: number): string => new Date(ms).toISOString()
