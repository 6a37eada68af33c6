/**
 * What the model services take and list, in OpenAI's fields: one schema for each request, used by the service that reads it and by the
 * description of the whole API. A message says what is not available yet; a description says what a field means.
 */
import * as z from 'zod'

const MODEL = 'The service has one model: its own id, or a name that OpenAI’s clients send for one of its kind.'

/** Numbers and truths come as text in forms. */
const numberFrom = (least: number, most: number) =>
  z
    .string()
    .refine(
      (value) => value.trim() !== '' && Number(value) >= least && Number(value) <= most,
      `expected a number from ${least} to ${most}`,
    )
    .transform(Number)
const truth = z.enum(['true', 'false'], 'expected true or false').transform((value) => value === 'true')

/** Where to cut: by itself, or as the caller says. */
const Chunking = z.strictObject({
  type: z.enum(['auto', 'server_vad'], 'expected auto or server_vad'),
  threshold: numberFrom(0.05, 0.95).optional(),
  prefix_padding_ms: numberFrom(0, 5000).optional(),
  silence_duration_ms: numberFrom(50, 10_000).optional(),
})

const TRANSCRIPT_FORMATS = ['json', 'text', 'srt', 'verbose_json', 'vtt'] as const

/** Fields of `POST /v1/audio/transcriptions` and `/v1/audio/translations` beside `file`, lists and objects put together. */
export const TranscriptionFields = z.strictObject({
  model: z.string().optional().describe(MODEL),
  language: z
    .string()
    .max(64)
    .optional()
    .describe('What is spoken: a code or an English name. Left out, it is detected.'),
  prompt: z
    .string()
    .max(8192)
    .optional()
    .describe('Text that came before, or in the style and with the names to expect.'),
  hotwords: z.string().max(4096).optional().describe('Words to expect.'),
  response_format: z
    .enum(TRANSCRIPT_FORMATS, 'expected json, text, srt, verbose_json or vtt; speakers are not told apart here')
    .default('json'),
  temperature: numberFrom(0, 1)
    .optional()
    .describe('From 0 to 1; left out, it rises only where a transcript looks wrong.'),
  timestamp_granularities: z
    .array(z.enum(['segment', 'word'], 'expected segment or word'))
    .max(8)
    .optional()
    .describe('For `verbose_json`, each as a field of its own: `timestamp_granularities[]=word`.'),
  stream: truth
    .default(false)
    .describe('`true`: events while it is heard (OpenAI’s `transcript.text.delta` and `.done`).'),
  chunking_strategy: Chunking.optional().describe(
    'Where long recordings are cut: `auto`, or `chunking_strategy[type]=server_vad` and its limits.',
  ),
  vad_filter: truth.default(true).describe('`false`: silence is heard too, and nothing is left out.'),
  include: z
    .never('log probabilities of single tokens are not available here')
    .optional()
    .describe('Refused: log probabilities of single tokens are not available.'),
})

const SOUND_FORMATS = ['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm'] as const

/** `POST /v1/audio/speech`. */
export const SpeechRequest = z.strictObject({
  model: z.string().optional().describe(`${MODEL} \`espeak\` is spoken by eSpeak NG.`),
  input: z.string().describe('What is to be said; `[word](/ipa/)` gives a pronunciation, `[pause:1.5s]` a pause.'),
  voice: z
    .union([z.string(), z.strictObject({ id: z.string() })], 'expected a string or {"id": string}')
    .optional()
    .describe(
      'A name from `GET /v1/audio/voices`, one of OpenAI’s, each of which has a voice of its own where the folder has them, or a mix: `af_bella(2)+af_sky(1)`.',
    ),
  response_format: z
    .enum(SOUND_FORMATS, `expected one of ${SOUND_FORMATS.join(', ')}`)
    .default('mp3')
    .describe('All come fragment by fragment while they are made; `opus` in Ogg, `pcm` is s16le mono 24 kHz.'),
  speed: z.number().min(0.25).max(4).default(1),
  stream_format: z
    .enum(['audio', 'sse'], 'expected audio or sse')
    .default('audio')
    .describe('`sse`: the same bytes in events, and at the end what they took.'),
  timestamps: z
    .boolean()
    .default(false)
    .describe('`true`: the words with their times too, as lines of JSON, or as events with `sse`.'),
  instructions: z.string().max(4096).optional().describe('Taken without effect, which `x-ignored` says.'),
})
export type SpeechRequest = z.infer<typeof SpeechRequest>

const LARGEST_INT32 = 2 ** 31 - 1
const tokenIds = z.array(z.int().min(0).max(LARGEST_INT32)).min(1)

/** A text, texts, one text's token ids, or several texts' token ids. */
export const EmbeddingInput = z.union([z.string(), z.array(z.string()), tokenIds, z.array(tokenIds)], {
  error: ({ input }) => whatIsWrong(input),
})
export type EmbeddingInput = z.infer<typeof EmbeddingInput>

/** `POST /v1/embeddings`. */
export const EmbeddingRequest = z.strictObject({
  model: z.string().optional().describe(MODEL),
  input: EmbeddingInput.describe('A text, texts, or token ids of this model’s vocabulary, special tokens included.'),
  encoding_format: z
    .enum(['float', 'base64'], 'expected float or base64')
    .default('float')
    .describe('`base64` is of little-endian float32; OpenAI’s clients ask for it by themselves.'),
  dimensions: z
    .int()
    .min(1)
    .optional()
    .describe('Shorter vectors only where the model was made for it (`is_matryoshka` in its config.json), else 400.'),
  truncate: z
    .boolean()
    .default(false)
    .describe(
      '`true`: texts past the model’s limit are cut there, and `x-truncated` has their places; else they are refused.',
    ),
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

const EXPECTED = 'expected a text, a list of texts, or token ids of this model'

/** The first place at which a list is not like its beginning; never its content. */
function whatIsWrong(input: unknown): string {
  if (!Array.isArray(input)) return `${EXPECTED}, got ${kindOf(input)}`
  const kinds = Array.from(input, kindOf)
  const odd = kinds.findIndex((kind) => kind !== kinds[0])
  return odd > 0 ? `input[${odd}]: expected ${kinds[0]} as before, got ${kinds[odd]}` : EXPECTED
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return 'a text'
  if (Array.isArray(value)) return 'a list'
  return value === null || value === undefined ? 'nothing' : `a ${typeof value}`
}
