/** The TTS service's settings, each one environment variable: `tts.maxChars` is TTS_MAX_CHARS. Hugging Face's keep their names. */
import { availableParallelism, homedir } from 'node:os'
import { join } from 'node:path'
import { PORTS } from '@hearth/shared/api'
import { bool, int, port, readConfig, secret, text, url } from '@hearth/shared/config'
import * as z from 'zod'

const MINUTE_MS = 60_000

const SECTIONS = {
  tts: z.object({
    host: text().default('127.0.0.1'),
    port: port().default(PORTS.tts),
    /** A folder with Kokoro's files, instead of the cache and the hub. */
    modelDir: text().optional(),
    /** Spoken with when a request names no voice. */
    defaultVoice: text().default('af_heart'),
    /** Longest input of a request in code points. */
    maxChars: int({ min: 1, max: 1_000_000 }).default(32_768),
    /** Threads of one inference. More than four gain little, and speech is made while little else runs. */
    threads: int({ min: 1, max: 64 }).default(Math.min(4, availableParallelism())),
    maxQueueSize: int({ min: 1, max: 10_000 }).default(256),
    /** How long a request waits for a model that is still loading. */
    coldHoldMs: int({ min: 0, max: 60 * MINUTE_MS }).default(2 * MINUTE_MS),
  }),
  hf: z.object({
    home: text().default(join(homedir(), '.cache', 'huggingface')),
    /** Instead of the folder `hub` in HF_HOME. */
    hubCache: text().optional(),
    endpoint: url().default('https://huggingface.co'),
    token: secret().optional(),
    hubOffline: bool().default(false),
  }),
  log: z.object({ level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info') }),
}

export type TtsConfig = ReturnType<typeof readTtsConfig>

/** Throws `invalid_config` that names every variable at fault. */
export const readTtsConfig = (env: Readonly<Record<string, string | undefined>> = process.env) =>
  readConfig(SECTIONS, env)
