/** The embeddings service's settings, each one environment variable: `embeddings.maxTexts` is EMBEDDINGS_MAX_TEXTS. */
import { PORTS } from '@hearth/shared/api'
import { int, readConfig } from '@hearth/shared/config'
import { COMMON_SECTIONS, modelServiceSettings } from '@hearth/shared/service-settings'
import * as z from 'zod'

export const SECTIONS = {
  ...COMMON_SECTIONS,
  embeddings: z.object({
    ...modelServiceSettings({ port: PORTS.embeddings }),
    maxBatchSize: int({ min: 1, max: 256 }).default(32),
    dtype: z.enum(['fp32', 'q8']).default('fp32'),
    /** Tokens of a batch, padding counted. */
    maxBatchTokens: int({ min: 1, max: 1_000_000 }).default(16_384),
    /** How long an idle engine waits for company; 0 starts at once. */
    batchWindowMs: int({ min: 0, max: 50 }).default(0),
    /** Texts that may wait: several of the largest requests. */
    maxQueueSize: int({ min: 1, max: 100_000 }).default(2048),
    /** Texts of one request. */
    maxTexts: int({ min: 1, max: 2048 }).default(256),
  }),
}

/** Throws `invalid_config` that names every variable at fault. */
export const readEmbeddingsConfig = (env: Readonly<Record<string, string | undefined>> = process.env) =>
  readConfig(SECTIONS, env)
