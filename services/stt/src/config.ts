/** The STT service's settings, each one environment variable: `stt.maxBatchSize` is STT_MAX_BATCH_SIZE. */
import { PORTS } from '@hearth/shared/api'
import { int, readConfig } from '@hearth/shared/config'
import { COMMON_SECTIONS, modelServiceSettings } from '@hearth/shared/service-settings'
import * as z from 'zod'

const MEBIBYTE = 1_048_576

export const SECTIONS = {
  ...COMMON_SECTIONS,
  stt: z.object({
    ...modelServiceSettings({ port: PORTS.stt }),
    maxBatchSize: int({ min: 1, max: 64 }).default(4),
    dtype: z.enum(['fp32', 'q8']).default('fp32'),
    /**
     * Whether short clips get a short window: where the model was made for it; always, by changing its encoder as it is loaded (three times as
     * fast, and not every model bears it); or never (30 s each).
     */
    fitWindow: z.enum(['auto', 'on', 'off']).default('auto'),
    /** How long an idle engine waits for company; 0 starts at once. */
    batchWindowMs: int({ min: 0, max: 50 }).default(0),
    /** Longest recording of a request. */
    maxSeconds: int({ min: 1, max: 86_400 }).default(7200),
    maxUploadBytes: int({ min: 1024, max: 1024 * MEBIBYTE }).default(64 * MEBIBYTE),
    /** How long an answer is kept for the same recording with the same wishes; 0 keeps none. */
    cacheSeconds: int({ min: 0, max: 86_400 }).default(300),
    /** Clients of live transcription at the same time, and how long each may stay. */
    liveMaxClients: int({ min: 0, max: 10_000 }).default(32),
    liveMaxSeconds: int({ min: 1, max: 604_800 }).default(7200),
  }),
}

/** Throws `invalid_config` that names every variable at fault. */
export const readSttConfig = (env: Readonly<Record<string, string | undefined>> = process.env) =>
  readConfig(SECTIONS, env)
