/** For tests: an HTTP server on a free port that answers with whatever the test says, and remembers what it was asked. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'

export type Asked = { readonly method: string; readonly path: string; readonly body: string }
export type Answer = (response: ServerResponse, asked: Asked, request: IncomingMessage) => void

export type HttpStub = {
  readonly url: string
  readonly asked: Asked[]
  close(): Promise<void>
}

export async function startStub(answer: Answer): Promise<HttpStub> {
  const asked: Asked[] = []
  const server = await startServer((response, body, request) => {
    const seen = { method: request.method ?? '', path: request.url ?? '', body: body.toString() }
    asked.push(seen)
    answer(response, seen, request)
  })
  return { ...server, asked }
}

/** The same with the body as bytes, and nothing remembered. */
export async function startServer(answer: (response: ServerResponse, body: Buffer, request: IncomingMessage) => void) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => answer(response, Buffer.concat(chunks), request))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export function sendJson(response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}
