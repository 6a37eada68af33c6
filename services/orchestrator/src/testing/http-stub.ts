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

/** `port`: one that was used before, to be the same server come back. */
export async function startStub(answer: Answer, port = 0): Promise<HttpStub> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const seen = { method: request.method ?? '', path: request.url ?? '', body: Buffer.concat(chunks).toString() }
      asked.push(seen)
      answer(response, seen, request)
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
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
