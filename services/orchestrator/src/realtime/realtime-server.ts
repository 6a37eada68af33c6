/** `/v1/realtime`: OpenAI's realtime protocol over WebSocket, in its GA and its beta form. A conversation is a session of Hearth. */
import type { IncomingMessage } from 'node:http'
import { AppError } from '@hearth/shared/errors'
import type { AccessOptions } from '@hearth/shared/access'
import { check } from '@hearth/shared/request-body'
import type { Metrics } from '@hearth/shared/telemetry'
import { guardUpgrade, protocolsOf } from '@hearth/shared/upgrade'
import type { UpgradeHandler } from '@hearth/shared/upgrade'
import type { WebSocket } from 'ws'
import { WebSocketServer } from 'ws'
import { ANYBODY } from '../sessions.ts'
import { newId } from '../session-table.ts'
import type { ModelWatch } from './model-watch.ts'
import { defaultConfig } from './session-config.ts'
import { REALTIME_PATH, RealtimeQuery } from './realtime-route.ts'
import { SessionRun } from './session-run.ts'
import type { SessionRunOptions } from './session-run.ts'
import { ClientSocket, CLOSE, SOCKET_LIMITS } from './socket.ts'
import type { SocketLimits } from './socket.ts'

export type RealtimeOptions = SessionRunOptions & {
  readonly access: AccessOptions
  /** Conversations at the same time. */
  readonly maxSessions: number
  /** A client that sends nothing for so long is let go. */
  readonly idleMs: number
  /** The system text for the language model, unless a client brings one. */
  readonly instructions: string
  readonly models: ModelWatch
  readonly metrics: Pick<Metrics, 'addGauge'> & SessionRunOptions['metrics']
  readonly limits?: Partial<SocketLimits>
}

type Client = { readonly socket: ClientSocket; readonly run: SessionRun }

const MODEL = 'hearth'
/** After a close frame, until the socket is cut. */
const CLOSE_MS = 2000

export class RealtimeServer {
  readonly #options: RealtimeOptions
  readonly #limits: SocketLimits
  readonly #server: WebSocketServer
  readonly #clients = new Map<string, Client>()
  readonly #closing = new Set<Promise<void>>()
  /** For the server's `upgrade` event. */
  readonly upgrade: UpgradeHandler

  constructor(options: RealtimeOptions) {
    this.#options = options
    this.#limits = { ...SOCKET_LIMITS, ...options.limits }
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: this.#limits.messageBytes,
      perMessageDeflate: false,
      clientTracking: false,
      // Not in the types of ws yet.
      ...({ closeTimeout: CLOSE_MS } as object),
      handleProtocols: (offered) => (offered.has('realtime') ? 'realtime' : false),
    })
    this.upgrade = guardUpgrade({ ...options.access, path: REALTIME_PATH }, (request, socket, head) =>
      this.#server.handleUpgrade(request, socket, head, (client) => this.#open(client, request)),
    )
    options.sessions.whenDeleted((born) => this.#forget(born))
    options.metrics.addGauge('hearth_realtime_sessions', 'Realtime sessions', [], async () => [
      [{}, this.#clients.size],
    ])
  }

  /** A conversation that somebody has deleted is over. */
  #forget(born: string): void {
    for (const { socket, run } of this.#clients.values()) {
      if (run.book.born !== born) continue
      run.book.forget()
      socket.end(CLOSE.gone, 'the session was deleted')
    }
  }

  /** Tells every client that the service goes, and takes no more. */
  drain(): void {
    for (const { socket } of this.#clients.values()) socket.end(CLOSE.goingAway, 'the service is stopping')
    this.#server.close()
  }

  /** Resolves once what was said is kept. */
  async close(): Promise<void> {
    this.drain()
    await Promise.all([...this.#clients.values()].map(({ run }) => run.close()))
    await Promise.all(this.#closing)
  }

  #open(client: WebSocket, request: IncomingMessage): void {
    const { idleMs } = this.#options
    const address = new URL(request.url ?? '', 'http://hearth')
    const isBeta = isBetaClient(request)
    const isHearth = address.searchParams.get('hearth') === 'true'
    const socket = new ClientSocket(client, { isBeta, isHearth, idleMs, limits: this.#limits })
    try {
      const query = check(Object.fromEntries(address.searchParams), RealtimeQuery)
      this.#begin(socket, query)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      socket.refuse(error)
    }
  }

  #begin(socket: ClientSocket, query: RealtimeQuery): void {
    const { user = ANYBODY, session = `sess_${newId()}`, intent, model = MODEL } = query
    const key = `${user}:${session}`
    this.#takeOver(key)
    if (this.#clients.size >= this.#options.maxSessions) throw this.#allTaken()
    const config = defaultConfig(intent ?? 'realtime', model, this.#options.instructions, 'whisper-1')
    const run = new SessionRun(
      { user, session, config, send: (event) => socket.send(event), room: (signal) => socket.room(signal) },
      this.#options,
    )
    const served = { socket, run }
    this.#clients.set(key, served)
    const life = new AbortController()
    socket.onEnd(() => {
      life.abort()
      if (this.#clients.get(key) === served) this.#clients.delete(key)
      this.#finish(run)
    })
    run.begin()
    socket.serve(run)
    if (query.hearth === 'true')
      this.#options.models.follow((models) => socket.send({ type: 'hearth.loading', models }), life.signal)
  }

  #finish(run: SessionRun): void {
    const closing = run.close().finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  /** Of two connections to one session the later one is the one that somebody uses. */
  #takeOver(key: string): void {
    this.#clients.get(key)?.socket.end(CLOSE.takenOver, 'another connection has this session')
  }

  #allTaken(): AppError {
    return new AppError('session_limit_reached', `all ${this.#options.maxSessions} sessions are in use`, {
      retryAfterMs: 1000,
    })
  }
}

/** By the header, or for browsers by the subprotocol. */
const isBetaClient = (request: IncomingMessage): boolean =>
  /\brealtime=v1\b/.test(String(request.headers['openai-beta'] ?? '')) ||
  protocolsOf(request).includes('openai-beta.realtime-v1')
