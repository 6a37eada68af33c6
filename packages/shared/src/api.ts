/** What crosses the wire between Hearth's services, and between Hearth and its clients: one schema for each shape. */
import * as z from 'zod'

export const ErrorBody = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() }),
  request_id: z.string().optional(),
})
export type ErrorBody = z.infer<typeof ErrorBody>

/** Where a model's files came from. `demo` is the small stand-in that ships with Hearth. */
export const ModelSource = z.enum(['local', 'cache', 'hub', 'demo'])
export type ModelSource = z.infer<typeof ModelSource>

export const ModelState = z.enum(['idle', 'fetching', 'loading', 'warming', 'ready', 'failed', 'draining', 'stopped'])
export type ModelState = z.infer<typeof ModelState>

/** One model as `/ready` tells it. Times are null until they are known. */
export const ModelStatus = z.object({
  id: z.string(),
  source: ModelSource.nullable(),
  state: ModelState,
  progress: z.object({ bytes: z.number(), totalBytes: z.number() }).nullable(),
  loadMs: z.number().nullable(),
  /** The first and second inference of the warm-up: what a cold request would have paid, and what a warm one pays. */
  firstInferenceMs: z.number().nullable(),
  secondInferenceMs: z.number().nullable(),
  warning: z.string().nullable(),
  error: z.string().nullable(),
})
export type ModelStatus = z.infer<typeof ModelStatus>

/** `GET /ready`: 200 when every model is ready, else 503 with the same body. */
export const ReadyReport = z.object({
  service: z.string(),
  ready: z.boolean(),
  models: z.array(ModelStatus),
})
export type ReadyReport = z.infer<typeof ReadyReport>

/** `POST /v1/audio/transcriptions` with `response_format=json`: OpenAI's body, and what Hearth adds. */
export const Transcription = z.object({
  text: z.string(),
  language: z.string(),
  model: z.string(),
  usage: z.object({ type: z.literal('duration'), seconds: z.number() }),
})
export type Transcription = z.infer<typeof Transcription>

/** `POST /v1/embeddings` with `encoding_format: "float"`. */
export const EmbeddingsReply = z.object({
  object: z.literal('list'),
  data: z.array(z.object({ object: z.literal('embedding'), index: z.number(), embedding: z.array(z.number()) })),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.number(), total_tokens: z.number() }),
})
export type EmbeddingsReply = z.infer<typeof EmbeddingsReply>

/** Response headers of the model services. Times are milliseconds with one decimal; names follow text-embeddings-inference. */
export const HEADERS = {
  requestId: 'x-request-id',
  model: 'x-model',
  queueTime: 'x-queue-time',
  inferenceTime: 'x-inference-time',
  totalTime: 'x-total-time',
  batchSize: 'x-batch-size',
} as const

export const PORTS = { orchestrator: 8080, stt: 8081, tts: 8082, embeddings: 8083, redis: 6379 } as const

/** Of a session, or of a user. */
export const NAME = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -')

/** What may stand beside the words or the sound of `POST /generate`: in JSON, as fields of a form, or in the address. */
export const GenerateFields = z.strictObject({
  session: NAME.optional(),
  /** Whose memory it is. */
  user: NAME.optional(),
  voice: z.string().min(1).max(64).optional(),
  /** What is spoken to the service and what the reply is asked for in: a code or an English name. Without it, it is detected. */
  language: z
    .string()
    .regex(/^[A-Za-z][A-Za-z -]{1,31}$/, 'expected a code of a language or its English name')
    .optional(),
  /** The system text for the language model, instead of the configured one. */
  instructions: z.string().max(8000).optional(),
  response_format: z.enum(['json', 'wav', 'pcm'], 'expected json, wav or pcm').optional(),
  /** False: the reply is text only. */
  speak: z.boolean().optional(),
  /** False: nothing of this turn is kept for other sessions. */
  remember: z.boolean().optional(),
  max_tokens: z.int().min(1).max(100_000).optional(),
  temperature: z.number().min(0).max(2).optional(),
})
export type GenerateFields = z.infer<typeof GenerateFields>

/** `POST /generate` with a JSON body: either a `text`, or a whole WAV file as base64 in `audio`. */
export const GenerateRequest = GenerateFields.extend({ text: z.string().optional(), audio: z.string().optional() })
export type GenerateRequest = z.infer<typeof GenerateRequest>

/** The name of each stage's model, and what had to be left out. */
export const TurnModels = z.object({
  stt: z.string().nullable(),
  embeddings: z.string().nullable(),
  llm: z.string(),
  tts: z.string().nullable(),
})
export type TurnModels = z.infer<typeof TurnModels>

/** A memory that a turn used, and why: the score is mixed of how near it is to what was said, how recent, and how important; all up to 1. */
export const RecalledMemory = z.object({
  id: z.string(),
  text: z.string(),
  score: z.number(),
  similarity: z.number(),
  recency: z.number(),
  importance: z.number(),
  /** The memory that led to it, when it was not found by itself. */
  linkedFrom: z.string().optional(),
})
export type RecalledMemory = z.infer<typeof RecalledMemory>

export const GenerateReply = z.object({
  /** For `GET /turns/:id`. */
  turn: z.string(),
  session: z.string(),
  transcript: z.string(),
  reply: z.string(),
  /** What memory gave to the language model, the best first. */
  memories: z.readonly(z.array(RecalledMemory)),
  audio: z.object({ format: z.literal('wav'), sampleRateHz: z.number(), base64: z.string() }).nullable(),
  /** Code of the reply's language, when it is known. */
  language: z.string().nullable(),
  /** Milliseconds by stage: see StageClock. */
  timings: z.record(z.string(), z.number()),
  /** When each stage worked, and the gaps between. */
  waterfall: z.readonly(
    z.array(
      z.union([
        z.object({ stage: z.string(), startMs: z.number(), durationMs: z.number() }),
        z.object({ gap: z.string(), startMs: z.number(), durationMs: z.number() }),
      ]),
    ),
  ),
  models: TurnModels,
  /** Stages that failed without ending the turn. */
  degraded: z.array(z.string()),
  /** True when the language model broke off, and what it had said is the reply. */
  incomplete: z.literal(true).optional(),
  /** True when the reply was given before to the same question. */
  cached: z.literal(true).optional(),
  /** Language models that were to answer before the one that did, and why they did not. */
  fallbacks: z.readonly(z.array(z.object({ model: z.string(), code: z.string() }))).optional(),
  /** Tokens and their times, as far as the language model tells them. */
  usage: z.record(z.string(), z.number()).optional(),
})
export type GenerateReply = z.infer<typeof GenerateReply>
