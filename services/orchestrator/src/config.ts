/** The orchestrator's settings, each one environment variable: `ollama.model` is OLLAMA_MODEL. */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { PORTS } from '@hearth/shared/api'
import { int, number, port, readConfig, text, url } from '@hearth/shared/config'
import { COMMON_SECTIONS } from '@hearth/shared/service-settings'
import * as z from 'zod'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const MEBIBYTE = 2 ** 20

const local = (servicePort: number) => url().default(`http://127.0.0.1:${servicePort}`)
const limitMs = (standard: number) => int({ min: 1, max: 60 * MINUTE_MS }).default(standard)
const INSTRUCTIONS =
  'You are a helpful voice assistant. Answer in one or two short sentences, as one speaks: no lists, no markup, no emoji.'

const SECTIONS = {
  ...COMMON_SECTIONS,
  orchestrator: z.object({
    host: text().default('127.0.0.1'),
    port: port().default(PORTS.orchestrator),
    instructions: text().default(INSTRUCTIONS),
    maxUploadBytes: int({ min: 1024, max: 1024 * MEBIBYTE }).default(25 * MEBIBYTE),
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
  /** `limitMs` is for one answer. Without a transcript there is no turn, so stt may hold it for two minutes while its model loads. */
  stt: z.object({ url: local(PORTS.stt), limitMs: limitMs(150 * SECOND_MS) }),
  tts: z.object({ url: local(PORTS.tts), limitMs: limitMs(60 * SECOND_MS), voicesLimitMs: limitMs(2 * SECOND_MS) }),
  embeddings: z.object({ url: local(PORTS.embeddings), limitMs: limitMs(5 * SECOND_MS) }),
  memory: z.object({
    budgetMs: limitMs(300),
    /** Cosine below which a memory has nothing to do with what was said. */
    threshold: number({ min: -1, max: 1 }).default(0.3),
  }),
  ollama: z.object({
    url: url().default('http://127.0.0.1:11434'),
    model: text().default('llama3.2:3b'),
    stallMs: limitMs(10 * SECOND_MS),
    totalMs: limitMs(30 * SECOND_MS),
    loadMs: limitMs(5 * MINUTE_MS),
  }),
  chat: z.object({
    /** Another model of the hub with the same files. */
    model: text().optional(),
    revision: text().optional(),
    /** A folder with the model's files, instead of the cache and the hub. */
    modelDir: text().optional(),
    maxTokens: int({ min: 1, max: 4096 }).default(160),
    threads: int({ min: 1, max: 64 }).default(Math.min(4, availableParallelism())),
  }),
  hearth: z.object({ home: text().default(fileURLToPath(new URL('../../../volumes', import.meta.url))) }),
}

export type OrchestratorConfig = ReturnType<typeof readOrchestratorConfig>

/** Throws `invalid_config` that names every variable at fault. */
export const readOrchestratorConfig = (env: Readonly<Record<string, string | undefined>> = process.env) =>
  readConfig(SECTIONS, env)
