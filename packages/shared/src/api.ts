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

/** `POST /generate` with a JSON body. */
export const GenerateRequest = z.strictObject({
  text: z.string(),
  session: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -')
    .optional(),
  voice: z.string().min(1).max(64).optional(),
})
export type GenerateRequest = z.infer<typeof GenerateRequest>

/** The name of each stage's model, and what had to be left out. */
export const TurnModels = z.object({
  stt: z.string().nullable(),
  embeddings: z.string().nullable(),
  llm: z.string(),
  tts: z.string().nullable(),
})
export type TurnModels = z.infer<typeof TurnModels>

export const GenerateReply = z.object({
  session: z.string(),
  transcript: z.string(),
  reply: z.string(),
  audio: z.object({ format: z.literal('wav'), sampleRateHz: z.number(), base64: z.string() }).nullable(),
  /** Milliseconds by stage: see StageClock. */
  timings: z.record(z.string(), z.number()),
  models: TurnModels,
  /** Stages that failed without ending the turn. */
  degraded: z.array(z.string()),
})
export type GenerateReply = z.infer<typeof GenerateReply>
