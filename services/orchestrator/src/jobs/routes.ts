/** Transcriptions that a caller doesn't wait for: `POST /jobs/transcriptions` takes a file, `GET /jobs/:id` tells what became of it, `DELETE` ends it. */
import { AppError } from '@hearth/shared/errors'
import { errorBody } from '@hearth/shared/error-response'
import { requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { check, oneField, readForm } from '@hearth/shared/request-body'
import type { Hono } from 'hono'
import * as z from 'zod'
import { JobPriority } from './job.ts'
import type { JobReport } from './job.ts'
import { formOf } from './queued-stt.ts'
import type { JobQueue } from './queue.ts'
import { jobHeaders, readIdempotency } from './submission.ts'
import { requireWebhookUrl } from './webhooks.ts'
import type { WebhookSettings } from './webhooks.ts'

export type JobRoutesOptions = {
  readonly queue: Pick<JobQueue, 'submit' | 'look' | 'cancel'>
  readonly webhooks: WebhookSettings
}

/** Beside those of a transcription, which are the stt service's to judge. */
export const JobFields = z.object({
  priority: JobPriority.default('bulk').describe('Waiting `interactive` jobs go first.'),
  webhook_url: z
    .string()
    .optional()
    .describe('Told what became of the job, on a host of `JOBS_WEBHOOK_HOSTS`, signed as Standard Webhooks says.'),
})

const PATH = '/v1/audio/transcriptions'
const ID = /^[\w-]{1,80}$/

/** Adds the routes; without a queue they say that there is none. */
export function addJobRoutes(app: Hono<AppEnv>, options: JobRoutesOptions | undefined): void {
  app.post('/jobs/transcriptions', async (c) => {
    const { queue, webhooks } = requireQueue(options)
    const fields = await readForm(c)
    const { priority, webhookUrl } = takeOwnFields(fields, webhooks)
    if (!(oneField(fields, 'file') instanceof File))
      throw new AppError('missing_file', 'expected a file in the field file', { param: 'file' })
    const idempotency = await readIdempotency(c, [PATH, priority, webhookUrl ?? ''], fields)
    const { form, headers: type } = await formOf(fields)
    const headers = { ...jobHeaders(c), ...type }
    const submission = { path: PATH, form, headers, priority, idempotency, webhookUrl } as const
    const job = await queue.submit(submission, requestSignal(c))
    return c.json(jsonReport(job, c.get('requestId')), 202, { location: `/jobs/${job.id}` })
  })

  app.get('/jobs/:id', async (c) => {
    const job = await requireQueue(options).queue.look(readId(c.req.param('id')), requestSignal(c))
    return c.json(jsonReport(job, c.get('requestId')), 200, { 'cache-control': 'no-store' })
  })

  app.delete('/jobs/:id', async (c) => {
    await requireQueue(options).queue.cancel(readId(c.req.param('id')), requestSignal(c))
    return c.body(null, 204)
  })
}

function readId(id: string): string {
  if (ID.test(id)) return id
  throw new AppError('job_not_found', 'no such job')
}

function requireQueue<Q>(options: Q | undefined): Q {
  if (options !== undefined) return options
  throw new AppError('dependency_unavailable', 'there is no job queue here: it needs the setting REDIS_URL')
}

/** Takes them out of the form. Throws `duplicate_field`, `invalid_request`. */
function takeOwnFields(form: FormData, webhooks: WebhookSettings) {
  const names = Object.keys(JobFields.shape)
  const given = check(Object.fromEntries(names.map((name) => [name, oneField(form, name)])), JobFields)
  for (const name of names) form.delete(name)
  const webhookUrl = given.webhook_url === undefined ? undefined : requireWebhookUrl(given.webhook_url, webhooks)
  return { priority: given.priority, webhookUrl }
}

const jsonReport = ({ error, ...report }: JobReport, requestId: string) => ({
  ...report,
  ...(error && errorBody(error, requestId)),
})
