/** One request of each kind, as a client sends it. Each throws unless the answer is 200 and whole. */
import { openAsBlob } from 'node:fs'
import { join } from 'node:path'
import { GenerateReply, Transcription } from '@hearth/shared/api'
import { ROOT } from '../e2e/stack.ts'
import type { BenchStack } from './stack.ts'

export const SPEECH = join(ROOT, 'models/speech')

async function whole(answer: Response): Promise<Response> {
  if (!answer.ok) throw new Error(`${answer.url} answered ${answer.status}: ${await answer.text()}`)
  return answer
}

async function form(file: string, fields: Record<string, string> = {}): Promise<FormData> {
  const body = new FormData()
  body.set('file', await openAsBlob(file), 'speech.wav')
  for (const [name, value] of Object.entries(fields)) body.set(name, value)
  return body
}

const post = (url: string, body: FormData) => fetch(url, { method: 'POST', body }).then(whole)
const postJson = (url: string, body: unknown) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }).then(
    whole,
  )

export async function transcribe(stack: BenchStack, file: string, language: string): Promise<Transcription> {
  const body = await form(file, { model: 'whisper-1', language })
  return Transcription.parse(await (await post(`${stack.url.stt}/v1/audio/transcriptions`, body)).json())
}

/** Speaks, and gives the sound's bytes. */
export async function speak(stack: BenchStack, input: string): Promise<ArrayBuffer> {
  const answer = await postJson(`${stack.url.tts}/v1/audio/speech`, {
    model: 'tts-1',
    input,
    voice: 'alloy',
    response_format: 'wav',
  })
  return answer.arrayBuffer()
}

export async function embed(stack: BenchStack, input: string): Promise<void> {
  await (await postJson(`${stack.url.embeddings}/v1/embeddings`, { model: 'text-embedding-3-small', input })).json()
}

export async function generate(stack: BenchStack, file: string): Promise<GenerateReply> {
  return GenerateReply.parse(await (await post(`${stack.url.orchestrator}/generate`, await form(file))).json())
}
