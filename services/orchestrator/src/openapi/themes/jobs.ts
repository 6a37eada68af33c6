/** Transcriptions that nobody waits for, and the page that shows their queue. */
import { TranscriptionFields } from '@hearth/shared/model-api'
import * as z from 'zod'
import { JobFields } from '../../jobs/routes.ts'
import { FORM_ERRORS, WAV_ERRORS } from '../operation.ts'
import type { Theme } from '../operation.ts'
import { JobReply } from '../replies.ts'

const DESCRIPTION = `With Redis (\`REDIS_URL\`; \`npm start\` provides it) recordings go through a queue: \`/generate\`, \`/v1/audio/transcriptions\` and jobs use it. Interactive ones go before jobs; a file that can't be read
fails alone; a job whose worker dies is done by another. Audio lies in \`HEARTH_HOME/spool\`, or in a bucket of an S3-compatible server (\`SPOOL_S3_URL\` and its kin, for orchestrators on several machines), until the job ends, never in Redis. When Redis is away, the speech service is asked directly, and the reply says so (\`queue\` in \`degraded\`, or
\`x-degraded: queue\`); jobs get 503 \`dependency_unavailable\`. A client of \`/v1/audio/transcriptions\` that leaves takes its recording out of the queue, also while it is being heard, unless it sent an \`Idempotency-Key\`: then it may come again for the answer.`

export const JOBS: Theme = {
  name: 'Transcription jobs',
  description: DESCRIPTION,
  operations: [
    {
      method: 'post',
      path: '/jobs/transcriptions',
      id: 'submitTranscription',
      summary: 'Hand in a recording',
      headers: {
        'idempotency-key':
          '1 to 255 visible ASCII characters. The same request with the same key is the same job; another request with it is 409 `idempotency_conflict`.',
      },
      body: {
        'multipart/form-data': TranscriptionFields.extend({
          ...JobFields.shape,
          file: z.file().describe('A recording, as for speech to text.'),
        }),
      },
      replies: {
        202: {
          description: 'It waits to be heard.',
          content: { 'application/json': JobReply },
          headers: { location: 'Where to ask for it.' },
        },
      },
      errors: [
        ...FORM_ERRORS,
        ...WAV_ERRORS,
        'idempotency_conflict',
        'overloaded',
        'storage_full',
        'dependency_unavailable',
      ],
      examples: [
        { headers: { 'idempotency-key': 'call-2026-10-01' }, form: { file: '@models/speech/008.wav', language: 'en' } },
      ],
    },
    {
      method: 'get',
      path: '/jobs/{id}',
      id: 'readJob',
      summary: 'What became of it',
      description: 'A result is kept for an hour (`JOBS_KEEP_SECONDS`).',
      parameters: { id: 'The job.' },
      replies: { 200: { description: 'The job.', content: { 'application/json': JobReply } } },
      errors: ['job_not_found', 'dependency_unavailable'],
      examples: [{ path: { id: '5f0c1c1e-3c0e-4d6c-9b7b-3a3f1c7a9d10' } }],
    },
    {
      method: 'delete',
      path: '/jobs/{id}',
      id: 'cancelJob',
      summary: 'Cancel it',
      description:
        'It is taken out of the queue, or given up if it is being heard; its recording and its result are deleted. From then on it is 404, and its webhook is not called.',
      parameters: { id: 'The job.' },
      replies: { 204: { description: 'There is no such job any more.' } },
      errors: ['job_not_found', 'dependency_unavailable'],
      examples: [{ path: { id: '5f0c1c1e-3c0e-4d6c-9b7b-3a3f1c7a9d10' } }],
    },
    {
      method: 'get',
      path: '/queues',
      id: 'queueDashboard',
      summary: 'The queue as a page',
      description: 'With `QUEUE_DASHBOARD=true` only: read only, and without what people said.',
      replies: { 200: { description: 'The page.', content: { 'text/html': z.string().describe('Bull Board.') } } },
      errors: [],
      examples: [],
    },
  ],
}
