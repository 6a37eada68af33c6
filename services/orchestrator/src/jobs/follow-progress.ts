/**
 * A job's progress: while a replica hears it, the replica is asked now and then how far it is, and that is written into the job. It can be
 * missing or late; it can't fail the job.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { HearingProgress } from '@hearth/shared/api'
import { within } from '../stages/limit.ts'
import type { TranscriptionJob } from './job.ts'

/** Before the first question too: most jobs are over by then. */
const ASK_EVERY_MS = 1000
/** For the replica's answer, and for Redis. */
const LIMIT_MS = 1000

/** What `work` gives or throws; while it runs the job's progress is that of its request at the replica `url`. */
export async function withProgress<T>(
  job: TranscriptionJob,
  url: string,
  work: () => Promise<T>,
  everyMs: number = ASK_EVERY_MS,
): Promise<T> {
  const stop = new AbortController()
  void follow(job, url, everyMs, stop.signal)
  try {
    return await work()
  } finally {
    stop.abort()
  }
}

/** Never rejects. What an earlier attempt had reached counts no more. */
async function follow(job: TranscriptionJob, url: string, everyMs: number, signal: AbortSignal): Promise<void> {
  let known = NaN
  if (job.progress !== 0) await write(job, 0, signal).catch(() => {})
  while (await pause(everyMs, signal))
    try {
      const heard = await within(LIMIT_MS, signal, (limit) => ask(url, job, limit))
      if (heard.seconds === known) continue
      await write(job, progressOf(heard), signal)
      known = heard.seconds
    } catch {
      // The replica doesn't know it yet or any more, or Redis is away: it is asked again.
    }
}

/** Throws when Redis is away; then it may come to stand there later, while the job is still this worker's. */
const write = (job: TranscriptionJob, progress: number | object, signal: AbortSignal): Promise<void> =>
  within(LIMIT_MS, signal, () => job.updateProgress(progress))

const pause = (ms: number, signal: AbortSignal): Promise<boolean> =>
  delay(ms, true, { signal, ref: false }).catch(() => false)

/** Throws for whatever is no answer. */
async function ask(url: string, { id }: TranscriptionJob, signal: AbortSignal): Promise<HearingProgress> {
  const reply = await fetch(`${url}/v1/audio/progress/${id}`, { redirect: 'error', signal })
  return HearingProgress.parse(await reply.json())
}

/** The queue's page draws a `progress` in percent. */
const progressOf = (heard: HearingProgress) => ({
  progress: Math.floor((100 * heard.seconds) / heard.total_seconds),
  ...heard,
})
