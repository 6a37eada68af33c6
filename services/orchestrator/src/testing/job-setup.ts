/** For tests: a queue on a real Redis with a spool of its own, and stub replicas that hear what a file says. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@hearth/shared/telemetry'
import { encodeWav } from '@hearth/shared/wav'
import { openJobQueue } from '../jobs/queue.ts'
import type { JobQueue, JobQueueOptions } from '../jobs/queue.ts'
import { createFileSpool } from '../jobs/spool-folder.ts'
import { startJobWorker } from '../jobs/worker.ts'
import type { JobWorkerOptions } from '../jobs/worker.ts'
import { sendJson, startStub } from './http-stub.ts'
import type { HttpStub } from './http-stub.ts'

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

export const startEar = (): Promise<HttpStub> =>
  startStub((response, { body }) => {
    const text = heardIn(body)
    if (text !== 'broken') return answerHeard(response, `I heard ${text}`)
    const error = { message: 'not a sound', type: 'invalid_request_error', param: 'file', code: 'undecodable_audio' }
    return sendJson(response, { error }, 400)
  })

export type JobSetup = {
  readonly folder: string
  readonly queue: JobQueue
  work(sttUrls: readonly string[], options?: Partial<JobWorkerOptions>): ReturnType<typeof startJobWorker>
  spooled(): Promise<string[]>
  close(): Promise<void>
}

export async function openJobs(redisUrl: string, options: Partial<JobQueueOptions> = {}): Promise<JobSetup> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-jobs-'))
  const maxAgeMs = 900_000
  const spool = createFileSpool({ folder, maxBytes: 1e6, maxAgeMs })
  const queue = openJobQueue({ redisUrl, spool, maxDepth: 100, keepSeconds: 60, log: silent, ...options })
  const workers: ReturnType<typeof startJobWorker>[] = []
  return {
    folder,
    queue,
    work(sttUrls, more = {}) {
      const base = { redisUrl, spool, sttUrls, limitMs: 10_000, windowMs: 0, maxAgeMs, log: silent }
      const worker = startJobWorker({ ...base, ...more })
      workers.push(worker)
      return worker
    },
    spooled: () => readdir(folder),
    async close() {
      await Promise.all(workers.map((worker) => worker.close()))
      await queue.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
