/** For tests: an HTTP server on a free port that answers with whatever the test says, and remembers what it was asked. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as z from 'zod'

export type Asked = { readonly method: string; readonly path: string; readonly body: string }
export type Answer = (response: ServerResponse, asked: Asked, request: IncomingMessage) => void

export type HttpStub = {
  readonly url: string
  readonly asked: Asked[]
  /** Requests whose connection or answer has not ended. */
  readonly open: () => number
  /** Answers whose head the client, which is in this process, has seen. */
  readonly begun: () => number
  close(): Promise<void>
}

/** `port`: one that was used before, to be the same server come back. */
export async function startStub(answer: Answer, port = 0): Promise<HttpStub> {
  const asked: Asked[] = []
  const server = await startServer((response, body, request) => {
    const seen = { method: request.method ?? '', path: request.url ?? '', body: body.toString() }
    asked.push(seen)
    answer(response, seen, request)
  }, port)
  return { ...server, asked }
}

/** The same with the body as bytes, and nothing remembered. */
export async function startServer(
  answer: (response: ServerResponse, body: Buffer, request: IncomingMessage) => void,
  port = 0,
): Promise<Omit<HttpStub, 'asked'>> {
  let open = 0
  let begun = 0
  const server = createServer((request, response) => {
    open++
    response.once('close', () => open--)
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => answer(response, Buffer.concat(chunks), request))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  const url = `http://127.0.0.1:${address.port}`
  const seeHead = (message: unknown): void => void (isAnswerOf(url, message) && begun++)
  subscribe(HEADS, seeHead)
  return {
    url,
    open: () => open,
    begun: () => begun,
    async close() {
      unsubscribe(HEADS, seeHead)
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Where Node's `fetch` tells of its answers. */
const HEADS = 'undici:request:headers'

const isAnswerOf = (url: string, message: unknown): boolean =>
  z.object({ request: z.object({ origin: z.literal(url) }) }).safeParse(message).success

export function sendJson(response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}
