/** For tests: a way to a server that can be cut and mended, or become a black hole, which takes bytes and gives none, while the server goes on. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'

export type TcpProxy = {
  readonly port: number
  /** Refuses connections, and breaks those there are. */
  cut(): Promise<void>
  mend(): Promise<void>
  /** From now on nothing passes, on the connections there are and on new ones. */
  stall(): void
  /** New connections pass again. Those that stalled stay silent for ever, unless `isMended`. */
  heal(isMended: boolean): void
  close(): Promise<void>
}

export async function startProxy(target: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let isStalled = false
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    pass(client, upstream, sockets)
    pass(upstream, client, sockets)
    if (isStalled) for (const socket of [client, upstream]) socket.pause()
  })
  const port = await listen(server, 0)
  const cut = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    port,
    cut,
    mend: async () => void (await listen(server, port)),
    stall() {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
    heal(isMended) {
      isStalled = false
      if (isMended) for (const socket of sockets) socket.resume()
    },
    close: cut,
  }
}

function pass(from: Socket, to: Socket, sockets: Set<Socket>): void {
  sockets.add(from)
  from.on('error', () => {})
  from.on('close', () => {
    sockets.delete(from)
    to.destroy()
  })
  from.on('data', (bytes) => to.write(bytes))
}

async function listen(server: Server, port: number): Promise<number> {
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  return address.port
}
