/**
 * Stopping an HTTP server without cutting anybody off and without waiting for nobody. The idea: a socket is busy while a reply on it is not
 * complete; every other socket (idle, silent, half a header sent) is closed when draining begins, the busy ones as they finish.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export class Connections {
  readonly #server: Server
  readonly #open = new Set<Socket>()
  /** Replies that are not complete, by the socket they go to. Pipelined requests share one. */
  readonly #replies = new Map<ServerResponse, Socket>()
  #isDraining = false

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket)
      socket.once('close', () => this.#open.delete(socket))
    })
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** To be told of every request before it is answered. */
  began({ socket }: IncomingMessage, reply: ServerResponse): void {
    this.#replies.set(reply, socket)
    if (this.#isDraining) reply.setHeader('connection', 'close')
    reply.once('close', () => {
      this.#replies.delete(reply)
      if (this.#isDraining && !this.#isBusy(socket)) socket.destroySoon()
    })
  }

  /** Whether a part of a reply is on its way already, so that nothing else may be written. */
  isReplying(socket: Socket): boolean {
    return [...this.#replies].some(([reply, to]) => to === socket && reply.headersSent)
  }

  /** Nothing moved on this socket for a while: it is closed, unless its reply is still in the making or its request still coming. */
  stalled(socket: Socket): void {
    if (socket.writableLength > 0 || !this.#isBusy(socket)) socket.destroy()
  }

  /** Refuses new connections, lets replies finish for at most `limitMs`, resolves when every socket is closed. */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true
    const ended = new Promise<void>((done) => this.#server.close(() => done()))
    for (const reply of this.#replies.keys()) if (!reply.headersSent) reply.setHeader('connection', 'close')
    for (const socket of this.#open) if (!this.#isBusy(socket)) socket.destroy()
    const late = setTimeout(() => this.#cut(), limitMs)
    await ended
    clearTimeout(late)
  }

  #isBusy(socket: Socket): boolean {
    return this.#replies.values().some((busy) => busy === socket)
  }

  #cut(): void {
    for (const socket of this.#open) socket.destroy()
  }
}
