/** Transcription jobs as a caller sees them. */
import * as z from 'zod'
import { recording } from '../spoken.ts'

const Job = z.object({
  id: z.string(),
  status: z.enum(['queued', 'running', 'completed', 'failed']),
  result: z.object({ text: z.string() }).optional(),
})
export type Job = z.infer<typeof Job>

/** Throws what the answer says when the job is not taken. */
export async function submitJob(url: string): Promise<Job> {
  const body = new FormData()
  body.set('file', recording('011.wav'))
  const answer = await fetch(`${url}/jobs/transcriptions`, { method: 'POST', body })
  if (answer.status !== 202) throw new Error(`expected a job, got ${answer.status} ${await answer.text()}`)
  return Job.parse(await answer.json())
}

export async function lookAtJob(url: string, id: string): Promise<Job> {
  return Job.parse(await (await fetch(`${url}/jobs/${id}`)).json())
}
