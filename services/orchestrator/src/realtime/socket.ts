/**
 * One client's WebSocket: frames in, events out, and the limits that keep a slow or hostile one from costing others anything. What a client
 * does wrong in the protocol is answered with an `error` event, and the socket stays open; what is wrong with the socket closes it.
 */
import { toAppError } from '@hearth/shared/errors'
import type { AppError } from '@hearth/shared/errors'
import type { RawData, WebSocket } from 'ws'
import { fromBeta, toBeta } from './beta-names.ts'
import { readEvent, readFrame } from './client-events.ts'
import { faultOf } from './fault.ts'
import { Outbox } from './outbox.ts'
import type { ServerEvent } from './server-events.ts'

/** 4000 and up are the application's own. */
export const CLOSE = {
  goingAway: 1001,
  unsupported: 1003,
  policy: 1008,
  tryLater: 1013,
  gone: 4404,
  timeout: 4408,
  takenOver: 4409,
}

export const SOCKET_LIMITS = {
  /** A minute of pcm16 at 24 kHz, as base64. */
  messageBytes: 4_194_304,
  /** A client sends sound in tens of messages a second; a file at once in hundreds. */
  messagesPerSecond: 2000,
  pingMs: 10_000,
  fullBytes: 1_048_576,
  mostBytes: 8_388_608,
  slowMs: 5000,
}
export type SocketLimits = typeof SOCKET_LIMITS

/** What is behind the socket. */
export type Talk = {
  take(event: ReturnType<typeof readEvent>): void
  fault(error: AppError, eventId: string | null): void
  readonly isBehind: boolean
}

export type SocketOptions = {
  readonly isBeta: boolean
  /** Whether the client knows events of Hearth's own. */
  readonly isHearth: boolean
  readonly idleMs: number
  readonly limits: SocketLimits
}

const LOOK_EVERY_MS = 50

export class ClientSocket {
  readonly #client: WebSocket
  readonly #options: SocketOptions
  readonly #outbox: Outbox
  #sent = 0
  #talk: Talk | undefined
  #listener: (() => void) | undefined
  #lastAt = performance.now()
  #second = { startedAt: 0, count: 0 }

  constructor(client: WebSocket, options: SocketOptions) {
    this.#client = client
    this.#options = options
    this.#outbox = new Outbox(client, options.limits, () => this.end(CLOSE.tryLater, 'too slow a reader'))
    client.on('error', () => client.terminate())
    client.once('close', () => this.#over())
    this.#keepAlive()
  }

  send(event: ServerEvent): void {
    if (event.type.startsWith('hearth.') && !this.#options.isHearth) return
    const told = this.#options.isBeta ? toBeta(event) : event
    if (told === null) return
    this.#outbox.send(JSON.stringify({ event_id: `event_${(++this.#sent).toString(36)}`, ...told }))
  }

  room(signal: AbortSignal): Promise<void> {
    return this.#outbox.room(signal)
  }

  /** Hands the client's events to `talk` from now on. */
  serve(talk: Talk): void {
    this.#talk = talk
    this.#client.on('message', (data: RawData, isBinary: boolean) => this.#take(talk, data, isBinary))
  }

  /** Lets the client go: for it everything ends now, however long it takes to hear of that. */
  end(code: number, reason: string): void {
    this.#client.close(code, reason)
    this.#over()
  }

  /** Tells why there is no session, and lets the client go. */
  refuse(error: AppError): void {
    this.send({ type: 'error', error: { ...faultOf(error), event_id: null } })
    this.end(error.retryable ? CLOSE.tryLater : CLOSE.policy, error.code)
  }

  /** `listener` hears once that the client is gone, or let go. */
  onEnd(listener: () => void): void {
    this.#listener = listener
  }

  #take(talk: Talk, data: RawData, isBinary: boolean): void {
    if (this.#client.readyState !== this.#client.OPEN) return
    this.#lastAt = performance.now()
    if (isBinary) return this.end(CLOSE.unsupported, 'expected text frames: sound is base64 in an event')
    if (this.#isFlood()) return this.end(CLOSE.policy, 'too many messages')
    let eventId: string | null = null
    try {
      const frame = readFrame(textOf(data))
      if (typeof frame['event_id'] === 'string') eventId = frame['event_id'].slice(0, 512)
      talk.take(readEvent(this.#options.isBeta ? fromBeta(frame) : frame))
    } catch (error) {
      talk.fault(toAppError(error), eventId)
    }
    if (talk.isBehind) this.#holdBack(talk)
  }

  #over(): void {
    this.#listener?.()
    this.#listener = undefined
  }

  #isFlood(): boolean {
    const now = performance.now()
    if (now - this.#second.startedAt > 1000) this.#second = { startedAt: now, count: 0 }
    return ++this.#second.count > this.#options.limits.messagesPerSecond
  }

  /** Who sends faster than it can be heard is not read for a while; its own socket then makes it wait. */
  #holdBack(talk: Talk): void {
    if (this.#client.isPaused) return
    this.#client.pause()
    const timer = setInterval(() => {
      if (this.#client.readyState === this.#client.OPEN && talk.isBehind) return
      clearInterval(timer)
      this.#client.resume()
    }, LOOK_EVERY_MS)
  }

  /** Ends with what answers no ping, and with what lies silent. */
  #keepAlive(): void {
    const client = this.#client
    const { idleMs, limits } = this.#options
    let isAlive = true
    client.on('pong', () => (isAlive = true))
    const timer = setInterval(() => {
      if (!isAlive && !client.isPaused) return client.terminate()
      isAlive = false
      client.ping()
      if (performance.now() - this.#lastAt > idleMs && !this.#talk?.isBehind)
        this.end(CLOSE.timeout, 'no event for too long')
    }, limits.pingMs)
    client.once('close', () => clearInterval(timer))
  }
}

const textOf = (data: RawData): string =>
  (Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)).toString('utf8')
