/**
 * `POST /v1/audio/transcriptions` and `/v1/audio/translations` through the queue: the caller's form goes to a replica as it came, and the
 * replica's answer comes back as it was. Registered before the gateway, which has the same routes: what can't be queued is left to it.
 */
import { AppError } from '@hearth/shared/errors'
import { requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { check, readFormBytes } from '@hearth/shared/request-body'
import type { Context, Hono, Next } from 'hono'
import * as z from 'zod'
import { replyHeaders, tellTimes, unavailable } from '../gateway.ts'
import { within } from '../stages/limit.ts'
import { JobPath, JobPriority } from './job.ts'
import { isQueueAway } from './queued-stt.ts'
import type { JobQueue } from './queue.ts'
import { responseOf } from './reply.ts'
import type { Reply } from './reply.ts'
import { jobHeaders, readIdempotency } from './submission.ts'

export type QueuedTranscriptionsOptions = {
  readonly queue: Pick<JobQueue, 'hear' | 'isReady'>
  /** For one file, its wait included. */
  readonly limitMs: number
}

/** Adds the routes. While Redis is away they answer directly, and say `queue` in `x-degraded`. */
export function addQueuedTranscriptions(app: Hono<AppEnv>, options: QueuedTranscriptionsOptions): void {
  for (const path of JobPath.options) app.post(path, (c, next) => answer(c, next, path, options))
}

async function answer(c: Context<AppEnv>, next: Next, path: JobPath, { queue, limitMs }: QueuedTranscriptionsOptions) {
  if (!queue.isReady()) return withoutQueue(c, next)
  const priority = readPriority(c)
  const { form, bytes } = await readFormBytes(c)
  c.req.raw = replayed(c.req.raw, bytes)
  if (asksForStream(form)) return next()
  const idempotency = await readIdempotency(c, [path, priority], form)
  const headers = jobHeaders(c)
  try {
    const signal = requestSignal(c)
    const submission = { path, form: bytes, headers, priority, idempotency }
    const reply = await within(limitMs, signal, (limit) => queue.hear(submission, limit))
    return passOn(c, reply)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (isQueueAway(error)) return withoutQueue(c, next)
    throw error.code === 'deadline_exceeded' ? unavailable('stt', error.message, error) : error
  }
}

async function withoutQueue(c: Context<AppEnv>, next: Next): Promise<void> {
  await next()
  c.header('x-degraded', 'queue')
}

/** Partial words don't go through the queue. Whatever is not clearly a no is for the stt service to judge. */
function asksForStream(form: FormData): boolean {
  return form.getAll('stream').some((value) => typeof value !== 'string' || !['', '0', 'false'].includes(value))
}

const PriorityHeader = z.object({ 'x-priority': JobPriority })

function readPriority(c: Context<AppEnv>): JobPriority {
  const given = c.req.header('x-priority')
  return check({ 'x-priority': given ?? 'interactive' }, PriorityHeader)['x-priority']
}

function passOn(c: Context<AppEnv>, reply: Reply): Response {
  tellTimes(c, 'stt', reply.headers)
  return responseOf({ ...reply, headers: replyHeaders(reply.headers) })
}

/** The same request with its body unread. */
function replayed(request: Request, body: Uint8Array<ArrayBuffer>): Request {
  const headers = new Headers(request.headers)
  // It was told to go on.
  headers.delete('expect')
  return new Request(request.url, { method: request.method, headers, body })
}
