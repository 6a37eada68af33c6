/** The job that tells a caller's address how a transcription job ended: it waits for that job in Redis, and has the same id. */
import * as z from 'zod'

export const WEBHOOK_QUEUE = 'hearth-webhooks'

export const WebhookData = z.object({ v: z.literal(1), url: z.string() })
export type WebhookData = z.infer<typeof WebhookData>

/** Seven repetitions in about ten minutes. */
export const WEBHOOK_JOB = {
  attempts: 8,
  backoff: { type: 'exponential', delay: 5000, jitter: 0.2 },
  stackTraceLimit: 0,
  removeOnComplete: true,
  removeOnFail: { age: 86_400, count: 1000 },
}
