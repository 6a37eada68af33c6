/** What `POST /v1/audio/speech` takes: OpenAI's fields, the bounds of each, and what a model or format name means here. */
import * as z from 'zod'
import type { SoundFormat } from './sound-format.ts'

const FORMATS = ['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm'] as const satisfies SoundFormat[]

/** The names under which callers know this model, beside its own. */
export const MODEL_ALIASES = ['kokoro', 'tts-1', 'tts-1-hd', 'gpt-4o-mini-tts'] as const

/**
 * OpenAI's request. `instructions` is taken and has no effect; the reply says so in `x-ignored`.
 */
export const SpeechRequest = z.strictObject({
  model: z.string().optional(),
  input: z.string(),
  voice: z.union([z.string(), z.strictObject({ id: z.string() })], 'expected a string or {"id": string}').optional(),
  response_format: z.enum(FORMATS, `expected one of ${FORMATS.join(', ')}`).default('mp3'),
  speed: z.number().min(0.25).max(4).default(1),
  /** `sse`: the same bytes in events, and at the end what they took. */
  stream_format: z.enum(['audio', 'sse'], 'expected audio or sse').default('audio'),
  /** The words with their times: as events, or as lines of JSON. */
  timestamps: z.boolean().default(false),
  instructions: z.string().max(4096).optional(),
})
export type SpeechRequest = z.infer<typeof SpeechRequest>

/** The voice's name in either spelling. */
export const voiceName = (voice: SpeechRequest['voice']): string | undefined =>
  typeof voice === 'object' ? voice.id : voice
