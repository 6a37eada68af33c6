/**
 * Connections to Redis. A worker waits for Redis as long as it takes; what answers a caller never does: each of its commands fails
 * within a second or two, and at once while Redis is known to be away.
 */
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { within } from './stages/limit.ts'

const RECONNECT_MS = { first: 50, longest: 1000, jitter: 100 }
const CONNECT_MS = 2000
const COMMAND_MS = 2000
/** For one answer that a caller waits for. */
const DEADLINE_MS = 1000
/** After so long a full Redis may have room again. */
const FULL_MS = 5000
/** At most one log line in this time about a Redis that is away. */
const LOG_EVERY_MS = 5000

/** Longer than BullMQ ever blocks (10 s): after this long without an answer the connection is dead, and another one is made. */
const SILENCE_MS = 12_000

const ROLES = {
  worker: { maxRetriesPerRequest: null, socketTimeout: SILENCE_MS },
  producer: {
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: COMMAND_MS,
    socketTimeout: COMMAND_MS,
  },
} as const satisfies Record<string, RedisOptions>

/** Starts to connect, and goes on trying for ever; a Redis that is away is logged, never thrown. */
export function connectRedis(url: string, role: keyof typeof ROLES, log: Log): Redis {
  const connection = new Redis(url, {
    ...ROLES[role],
    connectTimeout: CONNECT_MS,
    retryStrategy: (times) => reconnectMs(times),
  })
  connection.on('error', limitedWarning(log, `redis is away (${role})`))
  return connection
}

/** BullMQ's own way to wait grows to 20 s, and the first job after a short outage would wait as long. */
export const reconnectMs = (times: number, random: () => number = Math.random): number =>
  Math.min(RECONNECT_MS.first * 2 ** times, RECONNECT_MS.longest) + Math.floor(random() * RECONNECT_MS.jitter)

/** A listener that logs the first error, and then one in five seconds: a Redis that is full fails thousands of times a second. */
export function limitedWarning(log: Log, message: string, now: () => number = () => performance.now()) {
  let silentUntil = -Infinity
  let left = 0
  return (error: Error): void => {
    left++
    if (now() < silentUntil) return
    log.warn({ err: withoutCommand(error), times: left }, message)
    silentUntil = now() + LOG_EVERY_MS
    left = 0
  }
}

/**
 * What a caller asks of Redis: settles within a second, whatever Redis does. Throws `dependency_unavailable`, `overloaded` or `storage_full` when
 * Redis says that it is full, the signal's reason, or an AppError of `work`.
 */
export async function askRedis<T>(connection: Redis, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  // Before the first connection BullMQ would wait without a limit.
  if (connection.status !== 'ready') throw redisAway(`its connection is in state ${connection.status}`)
  try {
    return await within(DEADLINE_MS, signal, work)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AppError && error.code !== 'deadline_exceeded') throw error
    throwFull(error)
    throw redisAway('it did not answer', withoutCommand(error))
  }
}

/** Redis refuses whatever needs memory (OOM), or whatever is to be written to a full disk (MISCONF). */
function throwFull(error: unknown): void {
  const [reason] = /^(?:OOM|MISCONF)\b/.exec(error instanceof Error ? error.message : '') ?? []
  const options = { retryAfterMs: FULL_MS, cause: withoutCommand(error) }
  if (reason === 'OOM')
    throw new AppError('overloaded', 'Redis is full: expected some of its memory to be free', options)
  if (reason === 'MISCONF') throw new AppError('storage_full', 'Redis can not write to its disk', options)
}

/** ioredis hangs the command on its errors, with all that people said in it, and errors are logged. */
function withoutCommand(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command')
  return error
}

export const redisAway = (why: string, cause?: unknown): AppError =>
  new AppError('dependency_unavailable', `expected Redis to answer: ${why}`, {
    retryAfterMs: 1000,
    ...(cause !== undefined && { cause }),
  })
