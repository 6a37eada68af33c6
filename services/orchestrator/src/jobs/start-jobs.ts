/** The job queue as main.ts starts it: spool, queue, worker and metrics together, or nothing at all without a Redis. */
import type { Log, Metrics } from '@hearth/shared/telemetry'
import { addJobTimes, addQueueMetrics } from './metrics.ts'
import { openJobQueue } from './queue.ts'
import type { JobQueue } from './queue.ts'
import { openSpool } from './spool-settings.ts'
import type { SpoolSettings } from './spool-settings.ts'
import { startJobWorker } from './worker.ts'

export type JobSettings = {
  readonly maxDepth: number
  readonly keepSeconds: number
  readonly windowMs: number
  readonly spoolMaxBytes: number
  readonly spoolMaxAgeMs: number
}

export type StartJobsOptions = {
  readonly redisUrl: string
  readonly home: string
  readonly jobs: JobSettings
  readonly spool: SpoolSettings
  readonly stt: { readonly urls: readonly string[]; readonly limitMs: number }
  readonly log: Log
  readonly metrics: Metrics
}

const SWEEP_EVERY_MS = 60_000

export type Jobs = { readonly queue: JobQueue; close(): Promise<void> }

export function startJobs({ redisUrl, home, jobs, spool: where, stt, log, metrics }: StartJobsOptions): Jobs {
  const { spoolMaxBytes: maxBytes, spoolMaxAgeMs: maxAgeMs, windowMs, maxDepth, keepSeconds } = jobs
  const spool = openSpool(where, { home, name: 'spool' }, { maxBytes, maxAgeMs })
  const queue = openJobQueue({ redisUrl, spool, maxDepth, keepSeconds, log })
  addQueueMetrics(metrics, queue)
  const { urls: sttUrls, limitMs } = stt
  const onTimes = addJobTimes(metrics)
  const worker = startJobWorker({ redisUrl, spool, sttUrls, limitMs, windowMs, maxAgeMs, onTimes, log })
  const closing = new AbortController()
  const sweep = () => {
    spool.sweep(closing.signal).catch((error: unknown) => {
      if (!closing.signal.aborted) log.warn({ err: error }, 'the spool was not swept')
    })
  }
  const timer = setInterval(sweep, SWEEP_EVERY_MS).unref()
  sweep()
  return {
    queue,
    async close() {
      clearInterval(timer)
      closing.abort()
      await worker.close()
      await queue.close()
    },
  }
}
