/** What crosses the wire between Hearth's services, and between Hearth and its clients: one schema for each shape. */
import * as z from 'zod'

export const ErrorBody = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() }),
  request_id: z.string().optional(),
})
export type ErrorBody = z.infer<typeof ErrorBody>

export const ModelSource = z
  .enum(['local', 'cache', 'hub', 'demo'])
  .describe('Where the files came from; `demo` is the small stand-in that ships with Hearth.')
export type ModelSource = z.infer<typeof ModelSource>

export const ModelState = z.enum(['idle', 'fetching', 'loading', 'warming', 'ready', 'failed', 'draining', 'stopped'])
export type ModelState = z.infer<typeof ModelState>

/** When a model is loaded: before the service says that it is ready, behind its back, or with the first request. */
export const Preload = z.enum(['eager', 'background', 'lazy'])
export type Preload = z.infer<typeof Preload>

/** How far the files of a model are; the same numbers in `/ready`, in refusals and in events. */
export const ModelProgress = z.object({
  bytes: z.number().describe('That are there, those of an earlier attempt too.'),
  totalBytes: z.number(),
  downloadedBytes: z
    .number()
    .optional()
    .describe('That came from the hub in this start; 0 while files are only found.'),
  files: z.object({ done: z.number(), total: z.number() }).optional(),
  percent: z.number().nullable(),
  bytesPerSecond: z.number().nullable(),
  remainingMs: z.number().nullable().describe('At the speed so far.'),
})
export type ModelProgress = z.infer<typeof ModelProgress>

/** What one start of a model took. Null is not known yet. */
export const BootReport = z.object({
  startedAt: z.iso.datetime(),
  bytes: z.number().nullable().describe('Of all files of the model.'),
  downloadedBytes: z.number().describe('Of them, those that came from the hub in this start.'),
  fetchMs: z.number().nullable().describe('Finding the files, and downloading those that were missing.'),
  loadMs: z.number().nullable().describe('From the files to a loaded engine: its thread, its library, its weights.'),
  warmUpMs: z.number().nullable().describe('One inference, after which the model is ready.'),
  readyMs: z.number().nullable().describe('All of it.'),
  warmMs: z.number().nullish().describe('Until the rest of the warm-up, which goes on between requests, was over.'),
  residentBytesBefore: z.number().describe('Memory of the process before the files were looked for.'),
  residentBytesAfter: z.number().nullable().describe('And when the model was warm.'),
})
export type BootReport = z.infer<typeof BootReport>

/** One line of the history of starts, which lies on the volume. */
export const BootEntry = BootReport.extend({
  service: z.string(),
  model: z.string(),
  source: ModelSource.nullable(),
  firstInferenceMs: z.number().nullable(),
  secondInferenceMs: z.number().nullable(),
  release: z.string().describe('Changes with Node, the dependencies and the sources.'),
  machineUpSeconds: z
    .number()
    .describe('How long the machine ran by then: after its own start nothing is in its memory.'),
  load: z.number().describe('Programs that wanted a processor, mean of the last minute.'),
})
export type BootEntry = z.infer<typeof BootEntry>

/** One model as `/ready` tells it. Times are null until they are known. */
export const ModelStatus = z.object({
  id: z.string(),
  source: ModelSource.nullable(),
  revision: z.string().nullable().optional().describe('The commit at the hub, where there is one.'),
  bytes: z.number().optional().describe('Of its files, once they are there.'),
  state: ModelState,
  warming: z
    .boolean()
    .optional()
    .describe(
      'It is ready, and its service still warms what is around it between requests: some of the first ones take longer.',
    ),
  preload: Preload.optional().describe(
    'In effect: an `eager` load that failed goes on as `background`, and an unloaded model is `lazy`.',
  ),
  progress: ModelProgress.nullable().describe('While files come.'),
  loadMs: z.number().nullable(),
  firstInferenceMs: z.number().nullable().describe('Of the warm-up: what a cold request would have paid.'),
  secondInferenceMs: z.number().nullable().describe('What a warm request pays.'),
  warning: z.string().nullable(),
  error: z.string().nullable().describe('Of the last attempt; it stays until the model is ready.'),
  retryInMs: z.number().optional().describe('After a failure: until the next attempt begins.'),
  optional: z.boolean().optional().describe('The service is ready without it.'),
  boot: BootReport.optional().describe('With `?verbose`, of models that Hearth loads itself: what their start took.'),
})
export type ModelStatus = z.infer<typeof ModelStatus>

/** `GET /ready`: 200 when requests may come (each model is warm, or is to come with them), else 503 with the same body. */
export const ReadyReport = z.object({
  service: z.string(),
  ready: z.boolean(),
  models: z.array(ModelStatus),
  boots: z.array(BootEntry).optional().describe('With `?verbose`: earlier starts and this one, the last one last.'),
})
export type ReadyReport = z.infer<typeof ReadyReport>

/** `GET /ready?verbose` of the orchestrator: what the other services say, too. */
export const StackReport = ReadyReport.extend({
  services: z
    .record(z.string(), ReadyReport.nullable())
    .optional()
    .describe('With `?verbose`: the report of each other service; null when it does not answer.'),
})
export type StackReport = z.infer<typeof StackReport>

/** One thing that was looked at, and, when it is not as it should be, what to do about it. */
export const Finding = z.object({
  service: z.string().describe('Whose concern it is: `stt`, `orchestrator`, or `stack` for all of them.'),
  check: z.string(),
  status: z
    .enum(['ok', 'warning', 'failed', 'skipped'])
    .describe('`warning`: it works, but not as well as it could. `skipped`: it does not apply here.'),
  detail: z.string(),
  remedy: z.string().nullable().describe('What a person can do; null when nothing has to be done.'),
})
export type Finding = z.infer<typeof Finding>

/** `GET /doctor`. */
export const DoctorReport = z.object({
  status: z.enum(['ok', 'warning', 'failed']).describe('The worst of the findings.'),
  checkedAt: z.iso.datetime(),
  findings: z.array(Finding),
})
export type DoctorReport = z.infer<typeof DoctorReport>

/** `POST /v1/audio/transcriptions` with `response_format=json`: OpenAI's body, and what Hearth adds. */
export const Transcription = z.object({
  text: z.string(),
  language: z.string(),
  model: z.string(),
  usage: z.object({ type: z.literal('duration'), seconds: z.number() }),
  /** Nobody spoke. */
  no_speech: z.boolean().optional(),
  /** What was wrong with the file and could be passed over: `truncated`, `damaged`. */
  warnings: z.array(z.string()).readonly().optional(),
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

/** A request to the stt service may bring a name of its own, 1 to 80 of A-Z a-z 0-9 _ -, under which its progress can be asked for. */
export const PROGRESS_ID_HEADER = 'x-progress-id'

/** `GET /v1/audio/progress/{id}` of the stt service: how much of the recording is heard, for as long as it is being heard. */
export const HearingProgress = z.object({ seconds: z.number(), total_seconds: z.number() })
export type HearingProgress = z.infer<typeof HearingProgress>

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
  session: NAME.optional().describe(
    'Which conversation. An unknown one is begun, none makes a new one. 1 to 64 of `A-Z a-z 0-9 _ -`.',
  ),
  user: NAME.optional().describe(
    'Whose session and memory it is; `default` when left out. 1 to 64 of `A-Z a-z 0-9 _ -`.',
  ),
  voice: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('As in `POST /v1/audio/speech`. Left out, one that speaks the language of the reply.'),
  language: z
    .string()
    .regex(/^[A-Za-z][A-Za-z -]{1,31}$/, 'expected a code of a language or its English name')
    .optional()
    .describe('Of what is said and of the reply: a code or an English name. Left out, it is detected.'),
  instructions: z
    .string()
    .max(8000)
    .optional()
    .describe('The system text for the language model, instead of the configured one.'),
  response_format: z
    .enum(['json', 'wav', 'pcm'], 'expected json, wav or pcm')
    .optional()
    .describe('Goes before `Accept`, but not before an `Accept` of `text/event-stream`. `pcm`: while it is made.'),
  speak: z.boolean().optional().describe('`false`: no voice is asked, and `audio` is null.'),
  remember: z.boolean().optional().describe('`false`: memory keeps nothing of this turn; the session does.'),
  max_tokens: z.int().min(1).max(100_000).optional().describe('Longest reply of the language model.'),
  temperature: z.number().min(0).max(2).optional().describe('Of the language model.'),
})
export type GenerateFields = z.infer<typeof GenerateFields>

/** A function that the model may ask the client to call (OpenAI's form). */
export const FunctionTool = z.object({
  type: z.literal('function', 'expected function: no other tools are known'),
  function: z.object({
    name: z.string().regex(/^[\w-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -'),
    description: z.string().max(4096).optional(),
    parameters: z.record(z.string(), z.unknown()).optional().describe('JSON Schema of the arguments.'),
    strict: z.boolean().nullish(),
  }),
})

/** A call of such a function. */
export const FunctionCall = z.object({
  id: z.string().min(1).max(128),
  type: z.literal('function'),
  function: z.object({
    name: z.string().min(1).max(64),
    arguments: z.string().describe('JSON as the model wrote it, which may be wrong.'),
  }),
})
export type FunctionCall = z.infer<typeof FunctionCall>

const MOST_TOOLS = 128

export const FunctionTools = z
  .array(FunctionTool)
  .max(MOST_TOOLS)
  .refine((tools) => new Set(tools.map((tool) => tool.function.name)).size === tools.length, 'expected each name once')

const ToolResult = z.strictObject({ tool_call_id: z.string().min(1).max(128), content: z.string().max(100_000) })

/**
 * `POST /generate` with a JSON body: a `text`, or a whole recording as base64 in `audio`, or, when the last reply of the session asked for calls, what
 * they gave in `tool_results`.
 */
export const GenerateRequest = GenerateFields.extend({
  text: z.string().optional().describe('What is said to Hearth, in words.'),
  audio: z.string().optional().describe('Or spoken: a whole recording as base64, without line breaks.'),
  tools: FunctionTools.optional().describe('Functions that the language model may ask to be called (OpenAI’s form).'),
  tool_results: z
    .array(ToolResult)
    .min(1)
    .max(64)
    .optional()
    .describe('Instead of words, in the same session: what each of the `tool_calls` of the last reply gave.'),
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

/** From the request's arrival. */
export const Span = z.object({ startMs: z.number(), durationMs: z.number() })
/** Of a stage, which its name is added to. */
export const StageSpan = Span.extend({
  unfinished: z.literal(true).exactOptional().describe('The stage still works, or did when the turn was cut off.'),
})

/** A memory that a turn used, and why. */
export const RecalledMemory = z.object({
  id: z.string(),
  text: z.string(),
  score: z.number().describe('Mixed of the other three; all are up to 1.'),
  similarity: z.number().describe('How near it is to what was said.'),
  recency: z.number(),
  importance: z.number(),
  linkedFrom: z.string().optional().describe('The memory that led to it, when it was not found by itself.'),
})
export type RecalledMemory = z.infer<typeof RecalledMemory>

export const GenerateReply = z.object({
  turn: z.string().describe('For `GET /turns/{id}`.'),
  session: z.string().describe('For the next turn of the same conversation.'),
  transcript: z.string().describe('What was heard; empty when nobody spoke.'),
  reply: z.string(),
  memories: z.readonly(z.array(RecalledMemory)).describe('What memory gave to the language model, the best first.'),
  tool_calls: z
    .readonly(z.array(FunctionCall))
    .optional()
    .describe('What the client is asked to call; the next request of the session brings `tool_results`.'),
  audio: z.object({ format: z.literal('wav'), sampleRateHz: z.number(), base64: z.string() }).nullable(),
  language: z
    .string()
    .nullable()
    .describe('Code of the language that the reply was asked for in; null when it is not known.'),
  timings: z
    .record(z.string(), z.number())
    .describe(
      'Milliseconds spent in each stage: `requestMs` (reading what was sent), `voiceMs`, `sessionMs` (waiting for the session), `sttMs`, `memoryMs`, `llmMs`, `ttsMs`, `rememberMs`. `llmFirstTokenMs` and `ttsFirstByteMs` count from the question to that stage, `firstAudioMs` and `totalMs` from the request’s arrival.',
    ),
  waterfall: z
    .readonly(z.array(z.union([StageSpan.extend({ stage: z.string() }), Span.extend({ gap: z.string() })])))
    .describe('When each stage worked, and the gaps in which none did (`stt>memory`): together the whole time.'),
  models: TurnModels,
  degraded: z
    .array(z.string())
    .describe(
      'What the turn went on without: `memory` (nothing recalled), `sessions` (Redis is away, the session goes on with what this process knows), `queue` (the speech service was asked directly), `voice` (none speaks the language of the reply), `tts` (no sound).',
    ),
  incomplete: z.literal(true).optional().describe('The language model broke off, and what it had said is the reply.'),
  truncated: z.literal(true).optional().describe('The reply ends because it has `max_tokens`.'),
  cached: z.literal(true).optional().describe('The reply was given before to the same question (`LLM_CACHE_SECONDS`).'),
  fallbacks: z
    .readonly(z.array(z.object({ model: z.string(), code: z.string() })))
    .optional()
    .describe('Language models that were to answer before the one that did, and why they did not.'),
  usage: z
    .record(z.string(), z.number())
    .optional()
    .describe('Tokens and their times, as far as the language model tells them.'),
})
export type GenerateReply = z.infer<typeof GenerateReply>
