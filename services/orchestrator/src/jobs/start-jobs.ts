/** The job queue as main.ts starts it: spool, queue, worker and metrics together, or nothing at all without a Redis. */
import { join } from 'node:path'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import { addJobTimes, addQueueMetrics } from './metrics.ts'
import { openJobQueue } from './queue.ts'
import type { JobQueue } from './queue.ts'
import { createFileSpool } from './spool.ts'
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
  readonly stt: { readonly urls: readonly string[]; readonly limitMs: number }
  readonly log: Log
  readonly metrics: Metrics
}

const SWEEP_EVERY_MS = 60_000

export type Jobs = { readonly queue: JobQueue; close(): Promise<void> }

export function startJobs({ redisUrl, home, jobs, stt, log, metrics }: StartJobsOptions): Jobs {
  const { spoolMaxBytes: maxBytes, spoolMaxAgeMs: maxAgeMs, windowMs, maxDepth, keepSeconds } = jobs
  const spool = createFileSpool({ folder: join(home, 'spool'), maxBytes, maxAgeMs })
  const queue = openJobQueue({ redisUrl, spool, maxDepth, keepSeconds, log })
  addQueueMetrics(metrics, queue)
  const { urls: sttUrls, limitMs } = stt
  const onTimes = addJobTimes(metrics)
  const worker = startJobWorker({ redisUrl, spool, sttUrls, limitMs, windowMs, maxAgeMs, onTimes, log })
  const sweep = () => {
    spool.sweep().catch((error: unknown) => log.warn({ err: error }, 'the spool was not swept'))
  }
  const timer = setInterval(sweep, SWEEP_EVERY_MS).unref()
  sweep()
  return {
    queue,
    async close() {
      clearInterval(timer)
      await worker.close()
      await queue.close()
    },
  }
}
