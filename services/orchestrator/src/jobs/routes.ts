/** Transcriptions that a caller doesn't wait for: `POST /jobs/transcriptions` takes a file, `GET /jobs/:id` tells what became of it. */
import { AppError } from '@hearth/shared/errors'
import { errorBody } from '@hearth/shared/error-response'
import { requestSignal } from '@hearth/shared/http'
import type { AppEnv } from '@hearth/shared/http'
import { check, fileBytes, oneField, readForm } from '@hearth/shared/request-body'
import { decodeWav } from '@hearth/shared/wav'
import type { Hono } from 'hono'
import { JobOptions, JobPriority } from './job.ts'
import type { JobReport } from './job.ts'
import type { JobQueue } from './queue.ts'

/** Fields of the form beside `file`. */
export const JobFields = JobOptions.extend({ priority: JobPriority.default('bulk') })

/** Until there are accounts, everybody is one owner. */
const OWNER = 'default'
const KEY = /^[\x21-\x7e]{1,255}$/
const ID = /^[\w-]{1,80}$/
/** As in generate-request.ts: a file that begins as sound is left to the stt service. */
const LOOKED_AT_BYTES = 1_048_576

/** Adds the routes; without a queue they say that there is none. */
export function addJobRoutes(app: Hono<AppEnv>, queue: Pick<JobQueue, 'submit' | 'look'> | undefined): void {
  app.post('/jobs/transcriptions', async (c) => {
    const jobs = requireQueue(queue)
    const idempotency = readKey(c.req.header('idempotency-key'))
    const { priority, audio, ...options } = await readSubmission(await readForm(c))
    const job = await jobs.submit({ audio, options, priority, idempotency }, requestSignal(c))
    return c.json(jsonReport(job, c.get('requestId')), 202, { location: `/jobs/${job.id}` })
  })

  app.get('/jobs/:id', async (c) => {
    const id = c.req.param('id')
    if (!ID.test(id)) throw new AppError('job_not_found', 'no such job')
    const job = await requireQueue(queue).look(id, requestSignal(c))
    return c.json(jsonReport(job, c.get('requestId')), 200, { 'cache-control': 'no-store' })
  })
}

function requireQueue<Q>(queue: Q | undefined): Q {
  if (queue !== undefined) return queue
  throw new AppError('dependency_unavailable', 'there is no job queue here: it needs the setting REDIS_URL')
}

function readKey(key: string | undefined) {
  if (key === undefined) return undefined
  if (KEY.test(key)) return { owner: OWNER, key }
  throw new AppError('invalid_request', 'Idempotency-Key: expected 1 to 255 visible ASCII characters')
}

/** Throws `missing_file`, `unknown_field`, `duplicate_field`, `invalid_request`, and what `decodeWav` throws. */
async function readSubmission(form: FormData) {
  const names = new Set(form.keys())
  names.delete('file')
  const fields = check(Object.fromEntries([...names].map((name) => [name, oneField(form, name)])), JobFields)
  const audio = await fileBytes(form, 'file')
  decodeWav(audio.subarray(0, LOOKED_AT_BYTES))
  return { ...fields, audio }
}

const jsonReport = ({ error, ...report }: JobReport, requestId: string) => ({
  ...report,
  ...(error && errorBody(error, requestId)),
})
