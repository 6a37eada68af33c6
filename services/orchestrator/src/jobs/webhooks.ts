/**
 * Tells an address of the caller's choice how its job ended: POST of what `GET /jobs/:id` says, signed as Standard Webhooks has it. The
 * retries are BullMQ's, so they outlive this process. Only hosts that the operator named are called, and redirects are not followed.
 */
import { createHmac } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Secret } from '@hearth/shared/config'
import { errorBody } from '@hearth/shared/error-response'
import { AppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import { UnrecoverableError, Worker } from 'bullmq'
import type { Job } from 'bullmq'
import { within } from '../stages/limit.ts'
import { connectRedis, limitedWarning } from '../redis.ts'
import type { JobReport } from './job.ts'
import { WEBHOOK_QUEUE, WebhookData } from './webhook-job.ts'

export type WebhookSettings = {
  /** `whsec_` and the key in base64. */
  readonly secret: Secret | undefined
  /** `hooks.example.com`, or with a port that is not the scheme's own. Without any there are no webhooks. */
  readonly hosts: readonly string[]
}

export type WebhookWorkerOptions = WebhookSettings & {
  readonly redisUrl: string
  readonly look: (id: string, signal: AbortSignal) => Promise<JobReport>
  /** For one delivery, its answer's status included. */
  readonly limitMs?: number
  readonly log: Log
}

const LIMIT_MS = 10_000
const CONCURRENCY = 8
const LOCK = { lockDuration: 30_000, stalledInterval: 15_000, maxStalledCount: 3 }
const CLOSE_MS = 1000
const MAX_URL = 2000
const SECRET = /^whsec_([\w+/-]+={0,2})$/
const KEY_BYTES = { min: 24, max: 64 }

/** Throws `invalid_request` for an address that will not be called. */
export function requireWebhookUrl(given: string, { secret, hosts }: WebhookSettings): string {
  const refuse = (why: string) => new AppError('invalid_request', `webhook_url: ${why}`, { param: 'webhook_url' })
  if (!secret || hosts.length === 0)
    throw refuse('there are no webhooks here: they need the settings WEBHOOK_SECRET and JOBS_WEBHOOK_HOSTS')
  const url = given.length <= MAX_URL ? URL.parse(given) : null
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password)
    throw refuse(`expected an http or https address of at most ${MAX_URL} characters without a user and password`)
  if (!hosts.includes(url.host)) throw refuse('this host is not among those that may be called')
  return url.href
}

/** The key of the signatures. Throws `invalid_config`. */
export function signingKey(secret: Secret): Buffer {
  const key = Buffer.from(SECRET.exec(secret.reveal())?.[1] ?? '', 'base64')
  if (key.length >= KEY_BYTES.min && key.length <= KEY_BYTES.max) return key
  throw new AppError('invalid_config', 'WEBHOOK_SECRET: expected whsec_ and 24 to 64 bytes in base64')
}

/** The headers of one delivery (standardwebhooks.com): `id` stays the same in every repetition, `seconds` is now, since 1970. */
export function signedHeaders(key: Buffer, id: string, seconds: number, body: string): Record<string, string> {
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `v1,${signature}`,
  }
}

/** Starts to deliver, as soon as Redis is there. Throws `invalid_config`. */
export function startWebhookWorker(options: WebhookWorkerOptions & { secret: Secret }) {
  const { redisUrl, secret, log } = options
  const key = signingKey(secret)
  const connection = connectRedis(redisUrl, 'worker', log)
  const stop = new AbortController()
  const worker = new Worker(WEBHOOK_QUEUE, (job) => deliver(job, key, options, stop.signal), {
    connection,
    concurrency: CONCURRENCY,
    ...LOCK,
  })
  worker.on('error', limitedWarning(log, 'the webhook worker failed'))
  worker.on('failed', (job, error) =>
    log.warn({ job: job?.id, attempt: job?.attemptsMade, err: error }, 'a webhook was not delivered'),
  )
  return {
    async close(): Promise<void> {
      const closed = worker.close(connection.status !== 'ready').catch(() => {})
      stop.abort(new AppError('draining', 'this worker stops'))
      await Promise.race([closed, delay(CLOSE_MS, undefined, { ref: false })])
      connection.disconnect()
    },
  }
}

/** Throws for BullMQ to try again, or not. */
async function deliver(job: Job, key: Buffer, options: WebhookWorkerOptions, signal: AbortSignal): Promise<void> {
  const id = job.id ?? ''
  const { look, limitMs = LIMIT_MS } = options
  const url = readUrl(job.data, options)
  const report = await look(id, signal).catch((error: unknown) => {
    throw error instanceof AppError && error.code === 'job_not_found' ? new UnrecoverableError(error.message) : error
  })
  const body = JSON.stringify(eventOf(report))
  const headers = signedHeaders(key, id, Math.floor(Date.now() / 1000), body)
  const status = await within(limitMs, signal, async (limit) => {
    const reply = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: limit })
    await reply.body?.cancel()
    return reply.status
  })
  if (status < 200 || status > 299) throw new Error(`expected an answer from 200 to 299, got ${status}`)
}

/** Settings may have changed since the job was taken. */
function readUrl(data: unknown, settings: WebhookSettings): string {
  const known = WebhookData.safeParse(data).data
  if (!known) throw new UnrecoverableError('expected a webhook of version 1')
  try {
    return requireWebhookUrl(known.url, settings)
  } catch (error) {
    throw new UnrecoverableError(error instanceof Error ? error.message : 'this address is not called')
  }
}

/** Standard Webhooks' body: what happened, when it is told, and of what. */
function eventOf({ error, ...report }: JobReport) {
  const data = { ...report, ...(error && errorBody(error, report.id)) }
  return { type: `transcription.${report.status}`, timestamp: new Date().toISOString(), data }
}
