/** For tests: a queue on a real Redis with a spool of its own, and stub replicas that hear what a file says. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { HearingProgress } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { createLogger } from '@hearth/shared/telemetry'
import { encodeWav } from '@hearth/shared/wav'
import type { JobReport } from '../jobs/job.ts'
import { formOf } from '../jobs/queued-stt.ts'
import { openJobQueue } from '../jobs/queue.ts'
import type { JobQueue, JobQueueOptions, Submission } from '../jobs/queue.ts'
import { createFileSpool } from '../jobs/spool-folder.ts'
import type { Spool } from '../jobs/spool.ts'
import { startJobWorker } from '../jobs/worker.ts'
import type { JobWorker, JobWorkerOptions } from '../jobs/worker.ts'
import { transcriptionForm } from '../stages/stt.ts'
import { sendJson, startStub } from './http-stub.ts'
import type { Answer, Asked, HttpStub } from './http-stub.ts'

const MAX_AGE_MS = 900_000
const LOOK_EVERY_MS = 10

export const silent = createLogger({ service: 'test', level: 'silent' })

/** A WAV file with a text between its samples. */
export function wavSaying(text: string): Uint8Array<ArrayBuffer> {
  const wav = encodeWav({ samples: new Float32Array(8000), sampleRateHz: 16_000 })
  wav.set(Buffer.from(`<${text}>`), 1000)
  return Uint8Array.from(wav)
}

export const heardIn = (body: string): string => /<([\w ]+)>/.exec(body)?.[1] ?? ''

export function answerHeard(response: ServerResponse, text: string): void {
  sendJson(response, { text, language: 'english', model: 'stub/ear', usage: { type: 'duration', seconds: 1 } })
}

/** It has enough to do, and is to be asked again soon. */
export function answerOverloaded(response: ServerResponse): void {
  const error = { message: 'too much at once', type: 'rate_limit_error', param: null, code: 'overloaded' }
  sendJson(response, { error }, 429, { 'retry-after-ms': '10' })
}

export type FakeReplica = HttpStub & { isReady: boolean; progress: HearingProgress | null; progressAsked: number }

/** A stub of the stt service; questions about its readiness and its progress are not among what it was `asked`. */
export async function startReplica(answer: Answer, port = 0): Promise<FakeReplica> {
  const asked: Asked[] = []
  const stub = await startStub((response, question, request) => {
    if (question.path === '/ready') {
      response.writeHead(replica.isReady ? 200 : 503).end()
    } else if (question.path.startsWith('/v1/audio/progress/')) {
      replica.progressAsked++
      sendJson(response, replica.progress ?? {}, replica.progress ? 200 : 404)
    } else {
      asked.push(question)
      answer(response, question, request)
    }
  }, port)
  const replica: FakeReplica = { ...stub, asked, isReady: true, progress: null, progressAsked: 0 }
  return replica
}

export const startEar = (): Promise<FakeReplica> =>
  startReplica((response, { body }) => {
    const text = heardIn(body)
    if (text === 'stuck') return undefined
    if (text !== 'broken') return answerHeard(response, `I heard ${text}`)
    const error = { message: 'not a sound', type: 'invalid_request_error', param: 'file', code: 'undecodable_audio' }
    return sendJson(response, { error }, 400)
  })

/** A job for the queue. */
export async function submissionSaying(text: string, more: Partial<Submission> = {}): Promise<Submission> {
  const form = await formOf(transcriptionForm(wavSaying(text), 'en'))
  return { path: '/v1/audio/transcriptions', ...form, priority: 'bulk', ...more }
}

export type JobSetup = {
  readonly folder: string
  readonly queue: JobQueue
  readonly spool: Spool
  readonly results: Spool
  readonly work: (sttUrls: readonly string[], options?: Partial<JobWorkerOptions>) => JobWorker
  /** What a job comes to: its report once it is completed or failed. A Redis that has not answered in time is asked again. */
  ended(id: string, signal: AbortSignal): Promise<JobReport>
  spooled(): Promise<string[]>
  /** How many files there are, of forms and of results. */
  stored(): Promise<number>
  close(): Promise<void>
}

export async function openJobs(redisUrl: string, options: Partial<JobQueueOptions> = {}): Promise<JobSetup> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-jobs-'))
  const spoolIn = (name: string) => createFileSpool({ folder: join(folder, name), maxBytes: 1e8, maxAgeMs: MAX_AGE_MS })
  const [spool, results] = [options.spool ?? spoolIn('spool'), options.results ?? spoolIn('results')]
  const queue = openJobQueue({ redisUrl, spool, results, maxDepth: 100, keepSeconds: 60, log: silent, ...options })
  const workers: JobWorker[] = []
  return {
    folder,
    queue,
    spool,
    results,
    work(sttUrls, more = {}) {
      const limits = { limitMs: 10_000, windowMs: 0, maxAgeMs: MAX_AGE_MS }
      const worker = startJobWorker({ redisUrl, spool, results, sttUrls, ...limits, log: silent, ...more })
      workers.push(worker)
      queue.onRemoved(worker.cancel)
      return worker
    },
    async ended(id, signal) {
      for (;;) {
        const report = await queue.look(id, signal).catch(unlessAway)
        if (report?.status === 'completed' || report?.status === 'failed') return report
        await delay(LOOK_EVERY_MS, undefined, { signal })
      }
    },
    async stored() {
      const names = await readdir(folder, { recursive: true, withFileTypes: true })
      return names.filter((each) => each.isFile()).length
    },
    spooled: () => readdir(join(folder, 'spool')).catch(() => []),
    async close() {
      await Promise.all(workers.map((worker) => worker.close()))
      await queue.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A caller would be told to come again: on a busy machine an answer takes longer than the second that one waits for it. */
function unlessAway(error: unknown): undefined {
  if (!(error instanceof AppError) || error.code !== 'dependency_unavailable') throw error
}
