/** For tests: a TCP proxy in front of a server of this machine, which can become a black hole: it takes bytes and gives none. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

export type TcpProxy = {
  readonly port: number
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
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.on('data', (bytes) => to.write(bytes))
    }
    if (isStalled) pauseBoth(client, upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected an address with a port')
  return {
    port: address.port,
    stall() {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
    heal(isMended) {
      isStalled = false
      if (isMended) for (const socket of sockets) socket.resume()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function pauseBoth(one: Socket, other: Socket): void {
  one.pause()
  other.pause()
}
