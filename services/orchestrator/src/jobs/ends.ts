/** Waiting for jobs to end: BullMQ's events tell at once, and because an event may be lost with its connection, we also look. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@hearth/shared/telemetry'
import { QueueEvents } from 'bullmq'
import { connectRedis, limitedWarning } from '../redis.ts'
import { QUEUE_NAME } from './job.ts'
import type { Outcome } from './job.ts'
import { StoredReply } from './reply.ts'
import type { AppError } from '@hearth/shared/errors'

/** `error` for a job that failed without an answer. */
export type Ended = { readonly reply?: StoredReply | undefined; readonly error?: AppError }

const LOOK_EVERY_MS = 500

/** Connects in the background, and goes on trying for ever. */
export function watchEnds(redisUrl: string, log: Log) {
  const connection = connectRedis(redisUrl, 'worker', log)
  const events = new QueueEvents(QUEUE_NAME, { connection })
  /** Who waits for a job: told the result, or only to look. */
  const waiting = new Map<string, Set<(result: unknown) => void>>()
  const listeners: ((id: string) => void)[] = []
  events.on('error', limitedWarning(log, 'the events of the job queue failed'))
  events.on('completed', ({ jobId, returnvalue }) => tell(jobId, returnvalue))
  events.on('failed', ({ jobId }) => tell(jobId, null))

  function tell(id: string, result: unknown): void {
    for (const each of waiting.get(id) ?? []) each(result)
    for (const each of listeners) each(id)
  }

  /** How a job ends; `look` tells how it stands, and what it throws ends the wait. So does `signal`, and the job goes on. */
  async function wait(
    id: string,
    look: (signal: AbortSignal) => Promise<Outcome>,
    signal: AbortSignal,
  ): Promise<Ended> {
    let told = Promise.withResolvers<unknown>()
    const wake = (result: unknown) => told.resolve(result)
    const others = waiting.get(id) ?? new Set()
    waiting.set(id, others.add(wake))
    try {
      for (;;) {
        told = Promise.withResolvers()
        const found = await look(signal)
        if (found.status === 'completed' || found.status === 'failed') return found
        const reply = StoredReply.safeParse(await eventOrTime(told.promise, signal)).data
        if (reply) return { reply }
      }
    } finally {
      others.delete(wake)
      if (others.size === 0) waiting.delete(id)
    }
  }

  async function close(): Promise<void> {
    const closed = events.close()
    // It waits for an event that may never come.
    connection.disconnect()
    await closed
  }

  return { wait, onEnd: (listener: (id: string) => void) => void listeners.push(listener), close }
}

async function eventOrTime(event: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const told = await Promise.race([event, delay(LOOK_EVERY_MS, null, { signal: either }).catch(() => null)])
  stop.abort()
  signal.throwIfAborted()
  return told
}
