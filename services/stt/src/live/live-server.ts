/**
 * WhisperLive's protocol on the speech service: live clients on a WebSocket at `/`, each with bounded memory. What a client may do wrong ends
 * its own connection, with a close code that says why.
 */
import type { DetectVoice } from '@hearth/hearing/voice-model'
import { toAppError } from '@hearth/shared/errors'
import type { Log, Metrics } from '@hearth/shared/telemetry'
import { guardUpgrade } from '@hearth/shared/upgrade'
import type { UpgradeHandler } from '@hearth/shared/upgrade'
import type { RawData, WebSocket } from 'ws'
import { WebSocketServer } from 'ws'
import type { Abilities } from '../abilities.ts'
import type { Submit } from '../transcribe.ts'
import { fitting } from './fit-hello.ts'
import { failureText, LiveSession } from './live-session.ts'
import type { LiveOptions } from './live-session.ts'
import {
  END_OF_AUDIO,
  errorMessage,
  languageMessage,
  overMessage,
  readHello,
  readSamples,
  readyMessage,
  segmentsMessage,
  waitMessage,
  warningMessage,
} from './protocol.ts'
import type { Hello } from './protocol.ts'

export type LiveServerOptions = {
  readonly submit: Submit
  readonly detectVoice: DetectVoice
  /** What the model can do; null until its files are there. */
  readonly abilities: () => Abilities | null
  readonly maxClients: number
  /** Longest connection. */
  readonly maxSeconds: number
  /** Names under which it may be called, beside addresses and local names. */
  readonly allowedHosts?: readonly string[]
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly metrics: Pick<Metrics, 'addDuration' | 'addGauge'>
  readonly limits?: Partial<typeof LIMITS>
}

const LIMITS = {
  helloMs: 5000,
  /** Without any message. */
  idleMs: 60_000,
  pingMs: 10_000,
  /** Sound that waits to be listened to; beyond it the client's socket is not read. */
  backlogSeconds: 120,
  /** What a client has not read yet. */
  unreadBytes: 1_048_576,
  messageBytes: 1_048_576,
}

/** 4000 and up are the application's own. */
const CLOSE = { normal: 1000, goingAway: 1001, tryLater: 1013, protocol: 4400, timeout: 4408, slow: 4429, failed: 4500 }

const WAIT_MINUTES = 1
const SPAN_MS = 1000

export class LiveServer {
  readonly #options: LiveServerOptions
  readonly #limits: typeof LIMITS
  readonly #server: WebSocketServer
  /** For the server's `upgrade` event. */
  readonly upgrade: UpgradeHandler
  readonly #clients = new Set<WebSocket>()
  readonly #observePartial: (labels: Record<'kind', string>, ms: number) => void
  readonly #utterances = { same: 0, changed: 0 }

  constructor(options: LiveServerOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: this.#limits.messageBytes,
      perMessageDeflate: false,
      clientTracking: false,
    })
    const { metrics, allowedHosts = [] } = options
    this.upgrade = guardUpgrade({ path: '/', extensions: true, allowedHosts }, (request, socket, head) =>
      this.#server.handleUpgrade(request, socket, head, (client) => this.#greet(client)),
    )
    this.#observePartial = metrics.addDuration('hearth_live_partial_duration_seconds', 'Partials of live speech', [
      'kind',
    ])
    metrics.addGauge('hearth_live_clients', 'Live clients', [], async () => [[{}, this.#clients.size]])
    metrics.addGauge(
      'hearth_live_utterances',
      'Finished utterances by whether the whole gave another text',
      ['text'],
      async () => Object.entries(this.#utterances).map(([text, count]) => [{ text }, count] as const),
    )
  }

  /** Tells every client that the service goes, and takes no more. */
  close(): void {
    for (const client of this.#clients) client.close(CLOSE.goingAway, 'the service is stopping')
    this.#server.close()
  }

  /** The first message must be the greeting. */
  #greet(client: WebSocket): void {
    client.on('error', () => client.terminate())
    const late = setTimeout(() => client.close(CLOSE.timeout, 'no greeting'), this.#limits.helloMs)
    client.once('close', () => clearTimeout(late))
    client.once('message', (data: RawData, isBinary: boolean) => {
      clearTimeout(late)
      const hello = this.#helloOf(client, isBinary ? '' : bytesOf(data).toString('utf8'))
      if (hello) this.#serve(client, hello)
    })
  }

  #helloOf(client: WebSocket, text: string): Hello | null {
    try {
      const hello = readHello(text)
      if (this.#clients.size < this.#options.maxClients) return hello
      send(client, waitMessage(hello.uid, WAIT_MINUTES))
      client.close(CLOSE.tryLater, 'all places are taken')
    } catch (error) {
      send(client, errorMessage('', toAppError(error).message))
      client.close(CLOSE.protocol, 'expected a greeting')
    }
    return null
  }

  #serve(client: WebSocket, hello: Hello): void {
    const { log, abilities } = this.#options
    const fit = fitting(hello, abilities, (warning) => send(client, warningMessage(hello.uid, warning)))
    const startedAt = performance.now()
    const stop = new AbortController()
    const session = this.#session(client, { hello, fit }, stop.signal)
    this.#clients.add(client)
    const unwatch = this.#watch(client, hello)
    client.on('message', (data: RawData, isBinary: boolean) => this.#take(client, session, hello, data, isBinary))
    client.once('close', (code: number) => {
      this.#clients.delete(client)
      unwatch()
      stop.abort(new DOMException('the client left', 'AbortError'))
      log.info({ code, seconds: Math.round((performance.now() - startedAt) / 1000) }, 'live client left')
    })
    send(client, readyMessage(hello.uid))
    fit()
    for (const wish of hello.missing) send(client, warningMessage(hello.uid, `${wish} is not available here`))
    session.run().then(
      () => client.close(CLOSE.normal, 'all of it is told'),
      (error: unknown) => this.#failed(client, hello, error),
    )
  }

  #session(
    client: WebSocket,
    { hello, fit }: Pick<LiveOptions, 'hello' | 'fit'> & { hello: Hello },
    signal: AbortSignal,
  ): LiveSession {
    const { submit, detectVoice } = this.#options
    const tell = (message: object) => this.#tell(client, message)
    return new LiveSession(
      {
        hello,
        fit,
        submit,
        detectVoice,
        onSegments: (segments) => tell(segmentsMessage(hello.uid, segments)),
        onLanguage: (language, probability) => tell(languageMessage(hello.uid, language, probability)),
        onPartial: (ms) => this.#observePartial({ kind: 'partial' }, ms),
        onUtterance: (isChanged) => void this.#utterances[isChanged ? 'changed' : 'same']++,
      },
      signal,
    )
  }

  #take(client: WebSocket, session: LiveSession, hello: Hello, data: RawData, isBinary: boolean): void {
    const bytes = bytesOf(data)
    if (!isBinary) return // later texts of its clients mean nothing
    if (bytes.equals(END_OF_AUDIO)) return session.end()
    try {
      session.push(readSamples(bytes, hello.audioFormat))
    } catch (error) {
      return send(client, errorMessage(hello.uid, toAppError(error).message))
    }
    if (session.backlogSeconds > this.#limits.backlogSeconds) this.#holdBack(client, session)
  }

  /** Who sends faster than it can be heard is not read for a while; its own socket then makes it wait. */
  #holdBack(client: WebSocket, session: LiveSession): void {
    if (client.isPaused) return
    client.pause()
    const timer = setInterval(() => {
      if (client.readyState === client.OPEN && session.backlogSeconds > this.#limits.backlogSeconds / 2) return
      clearInterval(timer)
      client.resume()
    }, SPAN_MS / 10)
  }

  /** Ends with what nobody answers, what goes on too long, and what lies silent. */
  #watch(client: WebSocket, { uid }: Hello): () => void {
    const { idleMs, pingMs } = this.#limits
    const startedAt = performance.now()
    let isAlive = true
    let lastAt = startedAt
    client.on('pong', () => (isAlive = true))
    client.on('message', () => (lastAt = performance.now()))
    const timer = setInterval(() => {
      const now = performance.now()
      if (!isAlive) return client.terminate()
      isAlive = false
      client.ping()
      if (now - startedAt > this.#options.maxSeconds * 1000) {
        send(client, overMessage(uid))
        client.close(CLOSE.timeout, 'the longest time is over')
      } else if (now - lastAt > idleMs && !client.isPaused) client.close(CLOSE.timeout, 'no sound for too long')
    }, pingMs)
    return () => clearInterval(timer)
  }

  /** A client that does not read what it is told is let go before it costs memory. */
  #tell(client: WebSocket, message: object): void {
    if (client.bufferedAmount <= this.#limits.unreadBytes) return send(client, message)
    client.close(CLOSE.slow, 'too slow a reader')
    client.terminate()
  }

  #failed(client: WebSocket, { uid }: Hello, error: unknown): void {
    if (client.readyState !== client.OPEN) return
    const { code, cause } = toAppError(error)
    this.#options.log.warn({ code, err: cause ?? error }, 'live transcription failed')
    send(client, errorMessage(uid, failureText(error)))
    client.close(code === 'draining' ? CLOSE.goingAway : CLOSE.failed, code)
  }
}

function send(client: WebSocket, message: object): void {
  if (client.readyState === client.OPEN) client.send(JSON.stringify(message))
}

const bytesOf = (data: RawData): Buffer =>
  Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
