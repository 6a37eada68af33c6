/** Waiting for jobs to end: BullMQ's events tell at once, and because an event may be lost with its connection, we also look. */
import type { Log } from '@hearth/shared/telemetry'
import { QueueEvents } from 'bullmq'
import { connectRedis, limitedWarning } from '../redis.ts'
import { within } from '../stages/limit.ts'
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
  const removalListeners: ((id: string) => void)[] = []
  events.on('error', limitedWarning(log, 'the events of the job queue failed'))
  events.on('completed', ({ jobId, returnvalue }) => tell(jobId, returnvalue))
  events.on('failed', ({ jobId }) => tell(jobId, null))
  events.on('removed', ({ jobId }) => removalListeners.forEach((each) => each(jobId)))

  function tell(id: string, result: unknown): void {
    for (const each of waiting.get(id) ?? []) each(result)
  }

  /** From now on the end of this job isn't missed, until `stop`. */
  function listen(id: string) {
    let told = Promise.withResolvers<unknown>()
    const wake = (result: unknown) => told.resolve(result)
    const others = waiting.get(id) ?? new Set()
    waiting.set(id, others.add(wake))
    return {
      /**
       * How it ends; `look` tells how it stands, and what it throws ends the wait. So does `signal`, and the job goes on. A job that `isNew`,
       * made after `listen`, is only looked at when there is no word of it for a while.
       */
      async end(look: (signal: AbortSignal) => Promise<Outcome>, signal: AbortSignal, isNew: boolean): Promise<Ended> {
        for (let isToLook = !isNew; ; isToLook = true) {
          const heard = told.promise
          if (isToLook) {
            const found = await look(signal)
            if (found.status === 'completed' || found.status === 'failed') return found
          }
          const reply = StoredReply.safeParse(await eventOrTime(heard, signal)).data
          if (reply) return { reply }
          told = Promise.withResolvers()
        }
      },
      stop(): void {
        others.delete(wake)
        if (others.size === 0) waiting.delete(id)
      },
    }
  }

  async function close(): Promise<void> {
    const closed = events.close()
    // It waits for an event that may never come.
    connection.disconnect()
    await closed
  }

  return { listen, onRemoved: (listener: (id: string) => void) => void removalListeners.push(listener), close }
}

/** Null when there was none in time. */
async function eventOrTime(event: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  return within(LOOK_EVERY_MS, signal, () => event).catch(() => {
    signal.throwIfAborted()
    return null
  })
}
