/**
 * Schemas of replies that the code knows as plain types. The one idea: each is made for its type, so that a field that is added there and
 * not here doesn't compile; the tests hold real replies against them.
 */
import {
  EmbeddingsReply,
  ErrorBody,
  FunctionCall,
  GenerateReply,
  Span,
  StageSpan,
  TurnModels,
} from '@hearth/shared/api'
import { ERROR_CODES } from '@hearth/shared/errors'
import type { ErrorCode } from '@hearth/shared/errors'
import * as z from 'zod'
import type { JobReport } from '../jobs/job.ts'
import type { SessionSummary } from '../session-table.ts'
import type { Usage } from '../stages/llm.ts'
import type { Note } from '../stages/memory-note.ts'
import { TURN_STAGES } from '../turn-events.ts'
import type { Exchange } from '../turn-events.ts'
import type { TurnRecord } from '../turns.ts'

/** A schema for each field of `T`, also for those that may be left out. */
type Fields<T> = { [K in keyof T]-?: z.ZodType<T[K] | (undefined extends Partial<T>[K] ? undefined : never)> }

/** An object of exactly the fields of `T`. */
const bodyOf =
  <T>() =>
  <S extends Fields<T>>(fields: S & Record<Exclude<keyof S, keyof T>, never>) =>
    z.object<S>(fields)

const isCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code)
const codes = Object.keys(ERROR_CODES).filter(isCode)

/** What stands beside `error`, where it applies. */
const Loading = z.looseObject({ model: z.string(), state: z.string(), progress: z.number().nullable() })

export const ErrorReply = ErrorBody.extend({
  error: ErrorBody.shape.error.extend({
    message: z.string().describe('What was expected and what came; never the input itself.'),
    type: z.string().describe('OpenAI’s kind of error.'),
    param: z.string().nullable().describe('The field at fault.'),
    code: z.enum(codes).nullable().describe('One of the table.'),
  }),
  stage: z.string().optional().describe('The service or stage that failed.'),
  loading: Loading.optional().describe('With `model_loading`: how far it is; `progress` in percent.'),
})

export const Health = z.object({ status: z.literal('ok') })

export const Welcome = z.object({
  name: z.literal('hearth'),
  version: z.string(),
  links: z.record(z.string(), z.string()).describe('Where to go from here.'),
})

const SpokenExchange = bodyOf<Exchange>()({
  user: z.string().describe('Empty when there are `results`.'),
  results: z
    .array(z.object({ id: z.string(), content: z.string() }))
    .optional()
    .describe('What the calls of the reply before gave.'),
  reply: z.string(),
  calls: z
    .array(z.object({ id: z.string(), name: z.string(), args: z.string() }))
    .optional()
    .describe('What the client was asked to call.'),
})

const summary = {
  id: z.string(),
  turns: z.number().describe('Exchanges that are kept of it.'),
  lastUsedAt: z.iso.datetime(),
}
export const Session = bodyOf<SessionSummary>()(summary).extend({
  summary: z.string().describe('What was said before the history, in short; empty when all of it is there.'),
  history: z.array(SpokenExchange).describe('Oldest first.'),
})
export const SessionList = z.object({
  sessions: z.array(bodyOf<SessionSummary>()(summary)).describe('The one used last first; at most 1000 with Redis.'),
  degraded: z
    .array(z.literal('sessions'))
    .optional()
    .describe('Redis is away: these are the sessions of this process alone.'),
})

const ReplyUsage = bodyOf<Usage>()({
  promptTokens: z.number().exactOptional(),
  cachedPromptTokens: z.number().exactOptional().describe('Of them, those the server still knew.'),
  replyTokens: z.number().exactOptional(),
  firstTokenMs: z.number().exactOptional(),
  perTokenMs: z.number().exactOptional(),
})
const { language, timings, degraded, incomplete, truncated, cached, tool_calls, memories } = GenerateReply.shape

export const Turn = bodyOf<TurnRecord>()({
  id: z.string(),
  session: z.string(),
  status: z
    .enum(['running', 'completed', 'failed', 'cancelled'])
    .describe('`cancelled`: nobody read the turn to its end. What it came to by then is here, as of a failed one.'),
  createdAt: z.iso.datetime(),
  transcript: z.string().nullable().describe('Null until it is known.'),
  memories,
  reply: z.string().describe('As far as it is written.'),
  language,
  timings,
  waterfall: z
    .readonly(z.array(z.union([StageSpan.extend({ stage: z.enum(TURN_STAGES) }), Span.extend({ gap: z.string() })])))
    .describe('As in the reply of `POST /generate`.'),
  models: TurnModels.nullable().describe('Null until the turn has ended well.'),
  degraded,
  error: z.string().nullable().describe('The code of what ended the turn.'),
  incomplete,
  truncated,
  cached,
  tool_calls,
  fallbacks: z.array(z.object({ model: z.string(), code: z.enum(codes) })).optional(),
  usage: ReplyUsage.optional(),
})

/** The data of the events of `POST /generate`, by name. */
export const TURN_EVENTS = {
  transcript: z.object({ turn: z.string(), session: z.string(), text: z.string() }),
  memory: GenerateReply.pick({ memories: true }),
  'reply.delta': z.object({ text: z.string() }),
  audio: z
    .object({
      text: z.string().describe('The fragment of the reply that is spoken.'),
      format: z.literal('pcm'),
      sampleRateHz: z.number(),
      base64: z.string(),
    })
    .describe('One fragment: s16le mono.'),
  tool_calls: GenerateReply.pick({ tool_calls: true }).required().describe('What the client is asked to call.'),
  done: GenerateReply.omit({ transcript: true, audio: true, memories: true }).describe('The end.'),
  error: ErrorReply.describe('Instead of `done`: what failed after the first event.'),
}

export const JobReply = bodyOf<Omit<JobReport, 'error'>>()({
  id: z.string(),
  status: z.enum(['queued', 'running', 'completed', 'failed']),
  progress: z.number().describe('From 0 to 1; of the latest attempt.'),
  seconds: z
    .number()
    .optional()
    .describe('How much of the recording is heard; only while it is, and from about a second on.'),
  total_seconds: z.number().optional().describe('How long the recording is; together with `seconds`.'),
  result: z.unknown().describe('When it is completed: what `POST /v1/audio/transcriptions` would have answered.'),
}).extend({
  error: ErrorReply.shape.error.optional().describe('When it has failed.'),
  stage: ErrorReply.shape.stage,
  request_id: z.string().optional(),
})

export const AnyEmbeddingsReply = EmbeddingsReply.extend({
  data: z.array(
    EmbeddingsReply.shape.data.element.extend({
      embedding: z.union([z.array(z.number()), z.string()]).describe('Numbers, or base64 as asked for.'),
    }),
  ),
})

const ChatUsage = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  total_tokens: z.number(),
  prompt_tokens_details: z.object({ cached_tokens: z.number() }),
})
const chatHead = {
  id: z.string(),
  created: z.number().describe('Seconds since 1970.'),
  model: z.string().describe('Who wrote the reply.'),
}
const finish = z.enum(['stop', 'length', 'tool_calls']).describe('`length` also when the model broke off.')
const spoken = { id: z.string(), transcript: z.string(), data: z.string().describe('Base64.'), expires_at: z.number() }

export const ChatReply = z.object({
  ...chatHead,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: z.literal(0),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable().describe('Null when the reply is spoken.'),
        refusal: z.null(),
        tool_calls: z.array(FunctionCall).optional(),
        audio: z.object(spoken).optional(),
      }),
      logprobs: z.null(),
      finish_reason: finish,
    }),
  ),
  usage: ChatUsage.optional().describe('Where the model tells it.'),
})

/** The data of one event of a streamed chat; the last is the text `[DONE]`. */
export const ChatChunk = z.object({
  ...chatHead,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      index: z.literal(0),
      delta: z.object({
        role: z.literal('assistant').optional(),
        content: z.string().optional(),
        audio: z.object(spoken).partial().optional(),
        tool_calls: z.array(FunctionCall.extend({ index: z.number() })).optional(),
      }),
      logprobs: z.null(),
      finish_reason: finish.nullable(),
    }),
  ),
  usage: ChatUsage.optional().describe(
    'In a chunk of its own without choices, if `stream_options.include_usage` asks for it.',
  ),
})

export const MemoryNote = bodyOf<Note>()({
  id: z.string(),
  user: z.string(),
  session: z.string(),
  turn: z.string().nullable().describe('In which it was said.'),
  kind: z
    .enum(['statement', 'note'])
    .describe('`statement`: the user’s own words; `note`: written or changed by hand.'),
  text: z.string(),
  topic: z.string().nullable().describe('Of what a person has one at a time: `name`, `home`.'),
  createdAt: z.number().describe('Milliseconds since 1970.'),
  saidAt: z.number().describe('The last time it was said.'),
  importance: z.number().describe('From 0 to 1.'),
  keywords: z.array(z.string()),
  links: z.array(z.string()).describe('Memories that have to do with it.'),
  supersededBy: z.string().nullable().describe('What was said later and says otherwise: this one is not recalled.'),
})
export const MemoryList = z.object({
  memories: z.array(MemoryNote),
  next: z.string().nullable().describe('The `after` of the next page; null at the end.'),
})
export const MemoriesFound = z.object({
  memories: z.array(MemoryNote.extend({ score: z.number(), similarity: z.number(), recency: z.number() })),
})
