/** The orchestrator's settings, each one environment variable: `ollama.model` is OLLAMA_MODEL. */
import { availableParallelism } from 'node:os'
import { PORTS, Preload } from '@hearth/shared/api'
import { bool, int, list, number, port, readConfig, secret, text, url } from '@hearth/shared/config'
import { COMMON_SECTIONS } from '@hearth/shared/service-settings'
import * as z from 'zod'
import { SpoolSettings } from './jobs/spool-settings.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const MEBIBYTE = 2 ** 20

const local = (servicePort: number) => url().default(`http://127.0.0.1:${servicePort}`)
const limitMs = (standard: number) => int({ min: 1, max: 60 * MINUTE_MS }).default(standard)
const INSTRUCTIONS =
  'You are a helpful voice assistant. Answer in one or two short sentences, as one speaks: no lists, no markup, no emoji.'

export const SECTIONS = {
  ...COMMON_SECTIONS,
  orchestrator: z.object({
    host: text().default('127.0.0.1'),
    port: port().default(PORTS.orchestrator),
    instructions: text().default(INSTRUCTIONS),
    maxUploadBytes: int({ min: 1024, max: 1024 * MEBIBYTE }).default(64 * MEBIBYTE),
    maxTextChars: int({ min: 1, max: 1_000_000 }).default(8000),
    /** Turns at the same time. */
    maxTurns: int({ min: 1, max: 10_000 }).default(64),
    turnLimitMs: limitMs(3 * MINUTE_MS),
  }),
  session: z.object({
    max: int({ min: 1, max: 1_000_000 }).default(10_000),
    maxTurns: int({ min: 1, max: 1000 }).default(20),
    idleMs: limitMs(30 * MINUTE_MS),
  }),
  realtime: z.object({
    /** Conversations over WebSocket at the same time. */
    maxSessions: int({ min: 1, max: 10_000 }).default(256),
    /** A client that sends nothing for so long is let go. */
    idleMs: limitMs(10 * MINUTE_MS),
  }),
  /** `limitMs` is for one answer. Without a transcript there is no turn, so stt may hold it for two minutes while its model loads. */
  stt: z.object({
    url: local(PORTS.stt),
    limitMs: limitMs(150 * SECOND_MS),
    /** The service's own setting: its uploads also come through here. */
    maxUploadBytes: int({ min: 1024, max: 1024 * MEBIBYTE }).default(64 * MEBIBYTE),
    /** The replicas that jobs go to, instead of all addresses that the name in `url` has. */
    urls: list().pipe(z.array(url()).min(1)).optional(),
  }),
  /** Without one there is no job queue, and the stt service is asked directly. */
  redis: z.object({ url: z.url({ protocol: /^rediss?$/, error: 'expected redis://host:port' }).optional() }),
  jobs: z.object({
    /** That wait or run; more are refused. */
    maxDepth: int({ min: 1, max: 100_000 }).default(1000),
    keepSeconds: int({ min: 60, max: 7 * 86_400 }).default(3600),
    /** How long the first job of a batch waits for others. */
    windowMs: int({ min: 0, max: 50 }).default(0),
    spoolMaxBytes: int({ min: MEBIBYTE, max: 2 ** 40 }).default(1024 * MEBIBYTE),
    spoolMaxAgeMs: limitMs(15 * MINUTE_MS),
    /** Hosts that a job's `webhook_url` may name, `hooks.example.com` or `hooks.example.com:8443`; none without it. */
    webhookHosts: list().default([]),
  }),
  /** `whsec_` and 24 to 64 bytes in base64: signs what webhooks are told. */
  webhook: z.object({ secret: secret().optional() }),
  spool: SpoolSettings,
  queue: z.object({
    /** Bull Board under /queues. */
    dashboard: bool().default(false),
  }),
  tts: z.object({
    url: local(PORTS.tts),
    limitMs: limitMs(60 * SECOND_MS),
    /** A turn whose voice does not begin by then is answered in text. */
    firstByteMs: limitMs(5 * SECOND_MS),
    voicesLimitMs: limitMs(2 * SECOND_MS),
  }),
  embeddings: z.object({ url: local(PORTS.embeddings), limitMs: limitMs(5 * SECOND_MS) }),
  memory: z.object({
    budgetMs: limitMs(300),
    /** Cosine below which a memory has nothing to do with what was said. */
    threshold: number({ min: -1, max: 1 }).default(0.3),
  }),
  /** Keeps memory in a Chroma server, instead of a file in HEARTH_HOME. */
  chroma: z.object({ url: url().optional(), limitMs: limitMs(5 * SECOND_MS) }),
  ollama: z.object({
    url: url().default('http://127.0.0.1:11434'),
    model: text().default('llama3.2:3b'),
    /** Makes memory's vectors, instead of the embeddings service. */
    embeddingModel: text().optional(),
    stallMs: limitMs(10 * SECOND_MS),
    totalMs: limitMs(30 * SECOND_MS),
    loadMs: limitMs(5 * MINUTE_MS),
  }),
  /** Any OpenAI-compatible server, and the order in which the language models are asked. */
  llm: z
    .object({
      /** With the version: `http://127.0.0.1:8000/v1`. */
      url: url().optional(),
      model: text().optional(),
      apiKey: secret().optional(),
      chain: list()
        .pipe(z.array(z.enum(['openai', 'ollama', 'embedded'])).min(1))
        .default(['openai', 'ollama', 'embedded']),
      /** Offers the built-in tools; the servers' models have to know tools. */
      tools: bool().default(false),
      /** How long the very same question gets the same reply again; 0 never. */
      cacheSeconds: int({ min: 0, max: 86_400 }).default(0),
      stallMs: limitMs(10 * SECOND_MS),
      totalMs: limitMs(30 * SECOND_MS),
    })
    .refine(({ url: address, model }) => (address === undefined) === (model === undefined), {
      error: 'expected LLM_URL and LLM_MODEL together',
    })
    .refine(({ tools, cacheSeconds }) => !(tools && cacheSeconds > 0), {
      error: 'expected either LLM_TOOLS or LLM_CACHE_SECONDS: what a clock said must not be said again',
    }),
  chat: z.object({
    /** Another model of the hub with the same files. */
    model: text().optional(),
    revision: text().optional(),
    /** A folder with the model's files, instead of the cache and the hub. */
    modelDir: text().optional(),
    /** Once no server answers: loaded at once, and `/ready` waits for it (`eager`) or not; or with the first reply it has to write (`lazy`). */
    preload: Preload.default('eager'),
    maxTokens: int({ min: 1, max: 4096 }).default(160),
    threads: int({ min: 1, max: 64 }).default(Math.min(4, availableParallelism())),
  }),
  /** The model that hears whether somebody's turn is over. */
  turn: z.object({
    /** Another model of the hub with the same file. */
    model: text().optional(),
    revision: text().optional(),
    /** A folder with the model's file, instead of the cache and the hub. */
    modelDir: text().optional(),
  }),
  hearth: COMMON_SECTIONS.hearth.extend({
    /** Origins whose pages may call, separated by commas. */
    allowedOrigins: list().default([]),
  }),
}

export type OrchestratorConfig = ReturnType<typeof readOrchestratorConfig>

/** Throws `invalid_config` that names every variable at fault. */
export const readOrchestratorConfig = (env: Readonly<Record<string, string | undefined>> = process.env) =>
  readConfig(SECTIONS, env)

/** Never less than the stt service takes. */
export const uploadLimit = ({ orchestrator, stt }: OrchestratorConfig): number =>
  Math.max(orchestrator.maxUploadBytes, stt.maxUploadBytes)
