/**
 * For tests: the orchestrator's real app with its real stage clients on a real port, and around it stubs of Ollama, stt, tts and embeddings
 * that fail as the test says. One turn at a time and nobody waits for a session, so that what a turn does not give back is missed at once.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHost } from '@hearth/shared/testing/http-server'
import { serve } from '@hearth/shared/serve'
import type { Limits } from '@hearth/shared/serve'
import { createLogger, createMetrics } from '@hearth/shared/telemetry'
import * as z from 'zod'
import { createOrchestratorApp } from '../app.ts'
import { readOrchestratorConfig } from '../config.ts'
import { createStages } from '../create-stages.ts'
import { Sessions } from '../sessions.ts'
import { firstOf } from '../stages/llm-chain.ts'
import { sendOnce } from '../replica-send.ts'
import { startMemory } from '../start-memory.ts'
import { OllamaModel } from '../stages/ollama.ts'
import { startFaultyServer } from './faulty-server.ts'
import type { FaultyServer, Good } from './faulty-server.ts'
import { sendJson } from './http-stub.ts'
import type { Answer, Asked } from './http-stub.ts'
import { heardIn } from './job-setup.ts'

export const SERVICES = ['ollama', 'stt', 'tts', 'embeddings'] as const
export type ServiceName = (typeof SERVICES)[number]

export type FaultStackOptions = {
  /** Settings as the process would get them. */
  readonly env?: Readonly<Record<string, string>>
  readonly limits?: Partial<Limits>
  readonly maxTurns?: number
  /** False: the voices are not known yet, as just after a start. */
  readonly isWarm?: boolean
  /** The name by which a service is called, in place of its address. */
  readonly hostOf?: (name: ServiceName) => string
}

export const REPLY = 'Hello there, Anna. How are you?'
const WORDS = ['Hello there, ', 'Anna. How ', 'are you?']
const WARN_LEVEL = 40

export type Fields = Readonly<Record<string, unknown>> & { readonly file?: Uint8Array<ArrayBuffer> }
export type Told = {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
  readonly code: unknown
}

export type FaultStack = Awaited<ReturnType<typeof startFaultStack>>

export async function startFaultStack({
  env = {},
  limits = {},
  maxTurns = 1,
  isWarm = true,
  hostOf = () => '127.0.0.1',
}: FaultStackOptions = {}) {
  const servers = await startServers()
  const folder = await mkdtemp(join(tmpdir(), 'hearth-faults-'))
  const lines: Record<string, unknown>[] = []
  const log = createLogger({ service: 'test', level: 'debug' }, { write: (line) => void lines.push(JSON.parse(line)) })
  const urls = Object.fromEntries(
    SERVICES.map((name) => [`${name.toUpperCase()}_URL`, servers[name].url.replace('127.0.0.1', hostOf(name))]),
  )
  const config = readOrchestratorConfig({ OLLAMA_MODEL: 'm:1', HEARTH_HOME: folder, ...urls, ...env })
  const ollama = new OllamaModel({ ...config.ollama, probeMs: 2000, probeEveryMs: 3_600_000, maxTokens: 100, log })
  const llm = firstOf([ollama], { onFailure: () => {} })
  const memory = startMemory(config, llm, sendOnce, log)
  const stages = createStages(config, { memory: memory.stage, llm, queue: undefined, log })
  const app = createOrchestratorApp({
    version: '0',
    stages,
    memory: memory.book,
    sessions: new Sessions({ maxSessions: 100, maxTurns: 20, idleMs: 60_000, maxWaiting: 0 }),
    models: () => [llm.status],
    services: { stt: servers.stt.url, tts: servers.tts.url, embeddings: servers.embeddings.url },
    isDraining: () => false,
    instructions: 'Be kind.',
    maxUploadBytes: 200_000,
    maxTextChars: 8000,
    maxTurns,
    turnLimitMs: 60_000,
    log,
    metrics: createMetrics('orchestrator'),
  })
  const { host } = createHost()
  const { port, close } = await serve({
    app,
    port: 0,
    hostname: '127.0.0.1',
    log,
    close: [],
    drainMs: 100,
    host,
    limits,
  })
  const base = `http://127.0.0.1:${port}`
  if (isWarm) await stages.tts.requireVoice('af_demo', AbortSignal.timeout(10_000))
  servers.tts.asked.length = 0
  return {
    ...servers,
    ollamaModel: ollama,
    port,
    base,
    lines,
    /** Of warnings and errors, as one text. */
    warnings: () => JSON.stringify(lines.filter(({ level }) => Number(level) >= WARN_LEVEL)),
    /** One turn; `file` is a WAV file, else JSON is sent. */
    ask: (fields: Fields = {}, accept?: string) => ask(base, fields, accept),
    /** What was said and answered in a session. */
    history: async (session: string): Promise<unknown[]> => {
      const { history = [] } = z
        .looseObject({ history: z.array(z.unknown()).optional() })
        .parse(await (await fetch(`${base}/sessions/${session}`)).json())
      return history
    },
    /** Requests to stubs that have not ended. */
    open: () => SERVICES.reduce((sum, name) => sum + servers[name].open(), 0),
    async close() {
      await close()
      stages.close()
      await ollama.close()
      await memory.close()
      await Promise.all(SERVICES.map((name) => servers[name].close()))
      await rm(folder, { recursive: true })
    },
  }
}

async function ask(base: string, { file, ...fields }: Fields, accept = 'application/json'): Promise<Told> {
  const query = new URLSearchParams(
    Object.entries(fields).map(([name, value]): [string, string] => [name, String(value)]),
  )
  const sound = { body: file ?? null, headers: { 'content-type': 'audio/wav', accept } }
  const text = { body: JSON.stringify({ text: 'My name is Anna.', session: 's1', ...fields }) }
  const response = await fetch(file ? `${base}/generate?${query.toString()}` : `${base}/generate`, {
    method: 'POST',
    ...(file ? sound : { ...text, headers: { 'content-type': 'application/json', accept } }),
  })
  const { status, headers } = response
  const isJson = headers.get('content-type')?.includes('json')
  const body = z
    .record(z.string(), z.unknown())
    .parse(isJson ? await response.json() : { bytes: await response.bytes() })
  const { code } = z.looseObject({ code: z.string().optional() }).parse(body['error'] ?? {})
  return { status, headers, body, code }
}

async function startServers(): Promise<Record<ServiceName, FaultyServer>> {
  const [ollama, stt, tts, embeddings] = await Promise.all([
    startFaultyServer({ good: () => ndjson(WORDS), calm: answerCalm, isCalm: (asked) => !isChat(asked) }),
    startFaultyServer({
      good: ({ body }) => json({ text: heardIn(body), language: 'english', model: 'stub/ear', usage: USAGE }),
    }),
    startFaultyServer({ good: speech }),
    startFaultyServer({ good: ({ body }) => json(vectorsFor(JSON.parse(body))) }),
  ])
  return { ollama, stt, tts, embeddings }
}

const USAGE = { type: 'duration', seconds: 1 }
const isChat = ({ path, body }: Asked): boolean => path === '/api/chat' && !body.includes('"messages":[]')

const answerCalm: Answer = (response, { path }) =>
  sendJson(response, path === '/api/tags' ? { models: [{ name: 'm:1' }] } : { done: true, done_reason: 'load' })

const json = (body: unknown): Good => ({ type: 'application/json', body: Buffer.from(JSON.stringify(body)) })

/** A reply of Ollama in that many pieces. */
export function ndjson(words: readonly string[]): Good {
  const piece = (content: string, done: boolean) =>
    `${JSON.stringify({ model: 'm:1', message: { role: 'assistant', content }, done })}\n`
  const body = Buffer.from(words.map((content) => piece(content, false)).join('') + piece('', true))
  return { type: 'application/x-ndjson', body }
}

/** The text itself as samples. */
function speech({ path, body }: Asked): Good {
  if (path === '/v1/audio/voices') return json({ voices: [{ id: 'af_demo' }] })
  return { type: 'audio/pcm', body: Buffer.from(JSON.parse(body).input, 'utf16le') }
}

/** The same for each text, so that all of a user's memories are found. */
const vectorsFor = ({ input }: { input: string[] }) => ({
  object: 'list',
  data: input.map((_, index) => ({ object: 'embedding', index, embedding: [1, 0] })),
  model: 'stub/vectors',
  usage: { prompt_tokens: 1, total_tokens: 1 },
})
