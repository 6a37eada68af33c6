/** The TTS service's settings, each one environment variable: `tts.maxChars` is TTS_MAX_CHARS. */
import { PORTS } from '@hearth/shared/api'
import { int, readConfig, text } from '@hearth/shared/config'
import { COMMON_SECTIONS, modelServiceSettings } from '@hearth/shared/service-settings'
import * as z from 'zod'

export const SECTIONS = {
  ...COMMON_SECTIONS,
  tts: z.object({
    ...modelServiceSettings({ port: PORTS.tts }),
    /** Spoken with when a request names no voice. */
    defaultVoice: text().default('af_heart'),
    /** Longest input of a request in code points. */
    maxChars: int({ min: 1, max: 1_000_000 }).default(32_768),
    /** For short fragments that were spoken before; 0 keeps none. The default holds about three minutes of sound. */
    phraseCacheBytes: int({ min: 0, max: 1_073_741_824 }).default(16_777_216),
  }),
}

/** Throws `invalid_config` that names every variable at fault. */
export const readTtsConfig = (env: Readonly<Record<string, string | undefined>> = process.env) =>
  readConfig(SECTIONS, env)
