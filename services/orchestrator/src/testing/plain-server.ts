/** A server of Node's own that does what the test says. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'

export type PlainServer = { readonly url: string; readonly close: () => Promise<void> }

/** Listens on a free port of this machine; closing cuts every connection. */
export async function startPlainServer(
  listener: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<PlainServer> {
  const server = createServer((request, response) => void listener(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { url: `http://127.0.0.1:${address.port}`, close }
}
