/**
 * All that stands behind the orchestrator, on one port and with known times: ear, voice, vectors and mind. A process of its own, so that what
 * it costs is not counted as the orchestrator's. Arguments: milliseconds for one transcription, for the first token, for each token.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { answer as sayWords } from './slow-mind.ts'

const [earMs = 0, firstTokenMs = 0, tokenMs = 0] = process.argv.slice(2).map(Number)
const HEARD = {
  text: 'I like green tea.',
  language: 'english',
  model: 'fake/ear',
  usage: { type: 'duration', seconds: 1 },
}
/** One second at 24 kHz, 16 bits. */
const SOUND = Buffer.alloc(48_000, 1)
const VECTOR = Array.from({ length: 384 }, () => 1 / Math.sqrt(384))

const json = (response: ServerResponse, body: unknown) =>
  response.writeHead(200, { 'content-type': 'application/json', 'x-model': 'fake/model' }).end(JSON.stringify(body))

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

const ROUTES: Record<string, (response: ServerResponse, body: string) => unknown> = {
  '/v1/audio/transcriptions': async (response, body) => {
    if (earMs > 0) await pause(earMs)
    // What a file says, where it says something, so that a mix-up shows.
    json(response, { ...HEARD, text: /<([\w ]+)>/.exec(body)?.[1] ?? HEARD.text })
  },
  '/v1/audio/speech': (response) =>
    response.writeHead(200, { 'content-type': 'audio/pcm', 'x-model': 'fake/voice' }).end(SOUND),
  '/v1/audio/voices': (response) => json(response, { voices: [{ id: 'fake' }] }),
  '/v1/embeddings': (response) =>
    json(response, {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: VECTOR }],
      model: 'fake/vectors',
      usage: { prompt_tokens: 5, total_tokens: 5 },
    }),
  '/v1/chat/completions': (response) => sayWords(response, { firstTokenMs, tokenMs }),
  '/v1/models': (response) => json(response, { object: 'list', data: [{ id: 'fake' }] }),
  '/ready': (response) => json(response, { service: 'fake', ready: true, models: [] }),
}

const server = createServer((request, response) => {
  // A number before the path: one of several replicas.
  const route = ROUTES[(request.url ?? '').replace(/^\/\d+(?=\/)/, '')]
  bodyOf(request)
    .then((body) => (route ? route(response, body) : response.writeHead(404).end()))
    .catch(() => response.destroy())
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit())
