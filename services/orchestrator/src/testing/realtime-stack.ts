/** For tests: `/v1/realtime` over fake stages, on a port of its own, and a client that keeps what it is told. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import { WebSocket } from 'ws'
import type { ClientOptions } from 'ws'
import { Admission } from '../admission.ts'
import type { CreateWatch, Speech } from '../realtime/listener.ts'
import { ModelWatch } from '../realtime/model-watch.ts'
import { RealtimeServer } from '../realtime/realtime-server.ts'
import type { RealtimeOptions } from '../realtime/realtime-server.ts'
import { Sessions } from '../sessions.ts'
import { Turns } from '../turns.ts'
import type { Stages } from '../turn-events.ts'
import { fakeStages } from './fake-stages.ts'

export type Told = { readonly type: string } & Record<string, unknown>

export async function startRealtime(stages: Partial<Stages> = {}, options: Partial<RealtimeOptions> = {}) {
  const fakes = fakeStages(stages)
  const sessions = new Sessions({ maxSessions: 1000, maxTurns: 10, idleMs: 60_000, maxWaiting: 4 })
  const turns = new Turns()
  const admission = new Admission(100)
  const realtime = new RealtimeServer({
    stages: fakes.stages,
    sessions,
    turns,
    admission,
    access: {},
    instructions: 'Be kind.',
    turnLimitMs: 60_000,
    maxSessions: 1000,
    maxHistory: 10,
    idleMs: 60_000,
    createWatch: plainWatch,
    mayGuess: () => true,
    models: new ModelWatch({ models: () => [], services: [] }),
    log: createLogger({ service: 'test', level: 'silent' }),
    metrics: createMetrics('test'),
    ...options,
  })
  const server = createServer().on('upgrade', realtime.upgrade)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const clients: Client[] = []
  const dial = (query = '', settings: ClientSettings = {}): Client => {
    const client = new Client(`ws://127.0.0.1:${port}/v1/realtime${query}`, settings)
    clients.push(client)
    return client
  }
  return {
    ...fakes,
    realtime,
    sessions,
    turns,
    admission,
    port,
    dial,
    /** A client whose session is there. */
    connect: async (query?: string, settings?: ClientSettings) => {
      const client = dial(query, settings)
      await client.until('session.created')
      return client
    },
    async stop() {
      for (const { socket } of clients) socket.terminate()
      await realtime.close()
      server.closeAllConnections()
      server.close()
    },
  }
}

type ClientSettings = ClientOptions & { readonly protocols?: string[] }

export class Client {
  readonly socket: WebSocket
  readonly events: Told[] = []
  readonly #changed: (() => void)[] = []

  constructor(url: string, { protocols = [], ...settings }: ClientSettings) {
    this.socket = new WebSocket(url, protocols, settings)
    this.socket.on('error', () => {})
    this.socket.on('message', (data: Buffer) => {
      this.events.push(JSON.parse(data.toString('utf8')))
      for (const look of this.#changed.splice(0)) look()
    })
  }

  send(event: object): void {
    this.socket.send(JSON.stringify(event))
  }

  /** The first event of the type that came after the first `after` events; waits for it. */
  async until(type: string, after = 0): Promise<Told> {
    for (;;) {
      const found = this.events.slice(after).find((event) => event.type === type)
      if (found) return found
      await new Promise<void>((look) => this.#changed.push(look))
    }
  }

  /** Resolves with the close code. */
  async closed(): Promise<number> {
    const [code] = await once(this.socket, 'close')
    return Number(code)
  }

  say(text: string): void {
    const content = [{ type: 'input_text', text }]
    this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } })
  }

  /** Asks for a response and waits for its end. */
  async respond(response?: object): Promise<Told> {
    const before = this.events.length
    this.send({ type: 'response.create', ...(response && { response }) })
    return this.until('response.done', before)
  }

  types(): string[] {
    return this.events.map(({ type }) => type)
  }
}

/** Base64 of that much silence in pcm16. */
export const silentPcm = (ms: number): string => Buffer.alloc(ms * 48).toString('base64')
/** What `plainWatch` takes for speech. */
export const loudPcm = (ms: number): string => Buffer.alloc(ms * 48, 1).toString('base64')

const PAUSE_MS = 200

/** Takes for speech what is not silent, piece by piece: the timing is the test's. */
export const plainWatch: CreateWatch = ({ turnDetection }) => {
  if (turnDetection?.type !== 'server_vad') return null
  let { silence_duration_ms: silenceMs } = turnDetection
  let [atMs, startMs, endMs, isPaused] = [0, -1, 0, false]
  const speech = (what: Speech['what']): Speech => ({
    type: 'speech',
    what,
    atMs,
    speechMs: endMs - startMs + PADDING_MS,
  })
  const hear = (isLoud: boolean): Speech[] => {
    if (isLoud) endMs = atMs
    if (isLoud && startMs < 0) {
      startMs = atMs
      return [speech('started')]
    }
    if (startMs < 0) return []
    if (isLoud && isPaused) {
      isPaused = false
      return [speech('resumed')]
    }
    if (atMs - endMs >= silenceMs) {
      const stopped = speech('stopped')
      startMs = -1
      isPaused = false
      return [stopped]
    }
    if (isPaused || atMs - endMs < PAUSE_MS) return []
    isPaused = true
    return [speech('paused')]
  }
  return {
    configure(detection) {
      if (detection.type === 'server_vad') silenceMs = detection.silence_duration_ms
    },
    async push(pcm) {
      const found: Speech[] = []
      for (let at = 0; at < pcm.length; at += 48 * STEP_MS) {
        const isLoud = pcm[at] !== 0
        if (isLoud && startMs < 0) found.push(...hear(true))
        atMs += STEP_MS
        found.push(...hear(isLoud))
      }
      return found
    },
  }
}
const STEP_MS = 20
/** Of OpenAI's server_vad, which counts as speech. */
const PADDING_MS = 300
