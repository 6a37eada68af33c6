/** The connection to /v1/realtime: opened at once, and again after it broke, with longer and longer pauses. */
import type { ServerEvent } from './server-events.ts'

/** `elsewhere`: the conversation goes on in another window. */
export type SocketState = 'connecting' | 'open' | 'away' | 'elsewhere'
export type SocketOptions = {
  /** Asked before each attempt, as the session, the user or the key may have changed. */
  readonly address: () => { readonly url: URL; readonly protocols: readonly string[] }
  readonly onState: (state: SocketState) => void
  readonly onEvent: (event: ServerEvent) => void
}

/** The server's word for it: two windows that both came back would take it from each other for ever. */
const TAKEN_OVER = 4409
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000
/** Sound that is not sent by then is late anyway: 1 MB is 15 seconds of it. */
const MOST_WAITING_BYTES = 1_000_000

export class RealtimeSocket {
  readonly #options: SocketOptions
  #socket: WebSocket | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #pauseMs = FIRST_PAUSE_MS

  constructor(options: SocketOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** Opens a new connection, and leaves the one there was. */
  connect(): void {
    this.close()
    this.#options.onState('connecting')
    this.#dial()
  }

  /** False when the event was not sent. */
  send(event: object): boolean {
    if (!this.#socket || !this.isOpen || this.#socket.bufferedAmount > MOST_WAITING_BYTES) return false
    this.#socket.send(JSON.stringify(event))
    return true
  }

  close(): void {
    clearTimeout(this.#timer)
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  #dial(): void {
    const { url, protocols } = this.#options.address()
    const socket = new WebSocket(url, [...protocols])
    this.#socket = socket
    socket.addEventListener('open', () => {
      this.#pauseMs = FIRST_PAUSE_MS
      this.#options.onState('open')
    })
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket === socket) this.#options.onEvent(JSON.parse(String(data)) as ServerEvent)
    })
    socket.addEventListener('close', ({ code }) => {
      if (this.#socket !== socket) return
      this.#socket = null
      this.#options.onState(code === TAKEN_OVER ? 'elsewhere' : 'away')
      if (code !== TAKEN_OVER) this.#again()
    })
  }

  #again(): void {
    this.#timer = setTimeout(() => this.#dial(), this.#pauseMs)
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS)
  }
}
