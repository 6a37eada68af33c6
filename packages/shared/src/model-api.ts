/**
 * What the model services take and list, in OpenAI's fields: one schema for each request, used by the service that reads it and by the
 * description of the whole API. A message says what is not available yet; a description says what a field means.
 */
import * as z from 'zod'

const MODEL = 'The service has one model: its own id, or a name that OpenAI’s clients send for one of its kind.'
const unavailable = (message: string) => z.never(message).optional().describe(`Refused: ${message}.`)

/** Fields of `POST /v1/audio/transcriptions` beside `file`. */
export const TranscriptionFields = z.strictObject({
  model: z.string().optional().describe(MODEL),
  language: z
    .string()
    .max(64)
    .optional()
    .describe('What is spoken: a code or an English name. Left out, it is detected.'),
  prompt: z.string().max(4096).optional().describe('Taken without effect, which `x-ignored` says.'),
  response_format: z
    .enum(['json', 'text'], 'expected json or text; verbose_json, srt and vtt are not available here')
    .default('json'),
  temperature: z
    .string()
    .refine((value) => value.trim() !== '' && Number(value) >= 0 && Number(value) <= 1, 'expected a number from 0 to 1')
    .optional()
    .describe('From 0 to 1. Taken without effect, which `x-ignored` says.'),
  stream: z.literal('false', 'expected false; streaming is not available here').optional(),
  chunking_strategy: z.literal('auto', 'expected auto; other ways to cut are not available here').optional(),
  timestamp_granularities: unavailable('timestamps are not available here'),
  include: unavailable('log probabilities are not available here'),
})

/** `POST /v1/audio/speech`. `response_format` absent means wav, where OpenAI means mp3: Hearth has no mp3 encoder yet. */
export const SpeechRequest = z.strictObject({
  model: z.string().optional().describe(MODEL),
  input: z.string().describe('What is to be said.'),
  voice: z
    .union([z.string(), z.strictObject({ id: z.string() })], 'expected a string or {"id": string}')
    .optional()
    .describe('A name from `GET /v1/audio/voices`, or one of OpenAI’s, which stands for the nearest voice.'),
  response_format: z
    .enum(['wav', 'pcm'], 'expected wav or pcm; mp3, opus, aac and flac are not available here')
    .default('wav')
    .describe('`wav` comes whole; `pcm` (s16le mono 24 kHz) comes fragment by fragment while it is made.'),
  speed: z.number().min(0.25).max(4).default(1),
  stream_format: z.literal('audio', 'expected audio; sse is not available here').optional(),
  instructions: z.string().max(4096).optional().describe('Taken without effect, which `x-ignored` says.'),
})
export type SpeechRequest = z.infer<typeof SpeechRequest>

/** `POST /v1/embeddings`. */
export const EmbeddingRequest = z.strictObject({
  model: z.string().optional().describe(MODEL),
  input: z
    .union(
      [z.string(), z.array(z.string())],
      'expected a text or a list of texts; token ids are of another model and not taken',
    )
    .describe('Texts past the model’s limit are refused with `input_too_long`; they are never cut.'),
  encoding_format: z
    .enum(['float', 'base64'], 'expected float or base64')
    .default('float')
    .describe('`base64` is of little-endian float32; OpenAI’s clients ask for it by themselves.'),
  dimensions: z
    .int()
    .min(1)
    .optional()
    .describe('The size of the model’s own vectors only: they can’t be shortened without loss.'),
  user: z.string().max(256).optional().describe('Taken without effect.'),
})
export type EmbeddingRequest = z.infer<typeof EmbeddingRequest>

/** One model in `GET /v1/models`, and what `GET /v1/models/{id}` answers. */
export const ModelEntry = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.number(),
  owned_by: z.string(),
  task: z.string().describe('The hub’s word for what it does, such as `text-to-speech`.'),
  state: z.string().describe('As in `GET /ready`.'),
})
export type ModelEntry = z.infer<typeof ModelEntry>

export const ModelList = z.object({ object: z.literal('list'), data: z.array(ModelEntry) })
export type ModelList = z.infer<typeof ModelList>

export const Voice = z.object({
  id: z.string(),
  name: z.string(),
  language: z.string().optional().describe('Code, such as `en-gb`.'),
  default: z.boolean().optional().describe('Speaks when none is asked for.'),
})
export const VoiceList = z.object({ voices: z.array(Voice) })
export type VoiceList = z.infer<typeof VoiceList>

/** `GET /v1/audio/models`, which Open WebUI asks for. */
export const AudioModelList = z.object({ models: z.array(z.object({ id: z.string() })) })
export type AudioModelList = z.infer<typeof AudioModelList>
