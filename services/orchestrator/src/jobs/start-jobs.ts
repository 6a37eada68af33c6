/** The job queue as main.ts starts it: spool, queue, worker and metrics together, or nothing at all without a Redis. */
import type { Secret } from '@hearth/shared/config'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import { addJobTimes, addQueueMetrics } from './metrics.ts'
import { openJobQueue } from './queue.ts'
import type { JobQueue } from './queue.ts'
import { openSpool } from './spool-settings.ts'
import type { SpoolSettings } from './spool-settings.ts'
import type { Spool } from './spool.ts'
import { startWebhookWorker } from './webhooks.ts'
import type { WebhookSettings } from './webhooks.ts'
import { startJobWorker } from './worker.ts'

export type JobSettings = {
  readonly maxDepth: number
  readonly keepSeconds: number
  readonly windowMs: number
  readonly spoolMaxBytes: number
  readonly spoolMaxAgeMs: number
  readonly webhookHosts: readonly string[]
}

export type StartJobsOptions = {
  readonly redisUrl: string
  readonly home: string
  readonly jobs: JobSettings
  readonly spool: SpoolSettings
  readonly stt: { readonly urls: readonly string[]; readonly limitMs: number }
  readonly webhookSecret: Secret | undefined
  readonly log: Log
  readonly metrics: Metrics
}

const SWEEP_EVERY_MS = 60_000

export type Jobs = {
  readonly queue: JobQueue
  readonly webhooks: WebhookSettings
  /** For one file that a caller waits for, the queue included. */
  readonly limitMs: number
  close(): Promise<void>
}

export function startJobs(options: StartJobsOptions): Jobs {
  const { redisUrl, home, jobs, spool: where, stt, webhookSecret: secret, log, metrics } = options
  const { spoolMaxBytes: maxBytes, spoolMaxAgeMs: maxAgeMs, windowMs, maxDepth, keepSeconds } = jobs
  const spool = openSpool(where, { home, name: 'spool' }, { maxBytes, maxAgeMs })
  const results = openSpool(where, { home, name: 'results' }, { maxBytes, maxAgeMs: keepSeconds * 1000 })
  const queue = openJobQueue({ redisUrl, spool, results, maxDepth, keepSeconds, log })
  addQueueMetrics(metrics, queue)
  const { urls: sttUrls, limitMs } = stt
  const told = addJobTimes(metrics)
  const worker = startJobWorker({ redisUrl, spool, results, sttUrls, limitMs, windowMs, maxAgeMs, ...told, log })
  queue.onRemoved(worker.cancel)
  const webhooks = { secret, hosts: jobs.webhookHosts }
  const messenger = secret && startWebhookWorker({ redisUrl, look: queue.look, secret, hosts: jobs.webhookHosts, log })
  const stopSweeping = sweepAgain([spool, results], log)
  return {
    queue,
    webhooks,
    limitMs,
    async close() {
      stopSweeping()
      await Promise.all([worker.close(), messenger?.close()])
      await queue.close()
    },
  }
}

/** Now, and every minute. */
function sweepAgain(spools: readonly Spool[], log: Log): () => void {
  const closing = new AbortController()
  const sweep = () => {
    for (const spool of spools)
      spool.sweep(closing.signal).catch((error: unknown) => {
        if (!closing.signal.aborted) log.warn({ err: error }, 'the spool was not swept')
      })
  }
  const timer = setInterval(sweep, SWEEP_EVERY_MS).unref()
  sweep()
  return () => {
    clearInterval(timer)
    closing.abort()
  }
}
