/** The queue in `/metrics`: how much waits, since when, and how long jobs wait and run, and how many go together. */
import type { Metrics } from '@hearth/shared/telemetry'
import type { JobQueue } from './queue.ts'
import { BATCH_SIZE } from './replicas.ts'
import type { JobWorkerOptions } from './worker.ts'

/** For one scrape. */
const READ_MS = 500

/** Depth and age are read from Redis at each scrape, and left out while it is away. */
export function addQueueMetrics(
  metrics: Metrics,
  queue: Pick<JobQueue, 'figures'>,
  now: () => number = Date.now,
): void {
  const figures = () => queue.figures(AbortSignal.timeout(READ_MS))
  metrics.addGauge('hearth_jobs', 'Transcription jobs by state', ['state'], async () => {
    const { counts } = await figures()
    return Object.entries(counts).map(([state, count]) => [{ state }, count] as const)
  })
  metrics.addGauge('hearth_jobs_oldest_age_seconds', 'Age of the oldest job that waits', [], async () => {
    const { oldestAt } = await figures()
    return [[{}, oldestAt === null ? 0 : (now() - oldestAt) / 1000] as const]
  })
}

const SIZES = Array.from({ length: BATCH_SIZE }, (_, at) => at + 1)

/** Gives what the worker tells its times and batches to. */
export function addJobTimes(metrics: Metrics): Required<Pick<JobWorkerOptions, 'onTimes' | 'onBatch'>> {
  const wait = metrics.addDuration('hearth_job_wait_seconds', 'From submission to a worker', ['priority'])
  const run = metrics.addDuration('hearth_job_run_seconds', 'From a worker to the result', ['priority'])
  return {
    onTimes({ priority, waitMs, runMs }) {
      wait({ priority }, waitMs)
      run({ priority }, runMs)
    },
    onBatch: metrics.addSizes('hearth_job_batch_size', 'Jobs that went to one stt replica together', SIZES),
  }
}
