/** An OpenAI-compatible server with known times: the first word after 200 ms, then 30 tokens a second. What a turn costs beside the model shows against it. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

const TIMES: MindTimes = { firstTokenMs: 200, tokenMs: 1000 / 30 }
export const REPLY = 'The kitchen light is on, and so is the radio. Shall I turn them off for the night? Good night.'

export type MindTimes = { readonly firstTokenMs: number; readonly tokenMs: number }
export type SlowMind = { readonly url: string; close(): void }

export async function startSlowMind(): Promise<SlowMind> {
  const server = createServer((request, response) => {
    request.resume()
    if (request.method === 'POST') answer(response, TIMES).catch(() => response.destroy())
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{"object":"list","data":[{"id":"slow"}]}')
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/v1`, close: () => server.close() }
}

/** The reply, a word at a time. */
export async function answer(response: ServerResponse, { firstTokenMs, tokenMs }: MindTimes): Promise<void> {
  const send = (delta: object, finish_reason: string | null = null) => {
    const chunk = { id: 'x', object: 'chat.completion.chunk', created: 0, model: 'slow' }
    response.write(`data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta, finish_reason }] })}\n\n`)
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  await pause(firstTokenMs)
  for (const token of REPLY.split(/(?= )/)) {
    send({ content: token })
    await pause(tokenMs)
  }
  send({}, 'stop')
  response.end('data: [DONE]\n\n')
}
