/**
 * What `POST /v1/chat/completions` takes: OpenAI's body. Fields that we don't know are ignored, as OpenAI's own clients send
 * new ones every month; what a client would miss in the answer (tools, several choices, images) is refused in words.
 */
import { AppError } from '@hearth/shared/errors'
import { FunctionCall, FunctionTools } from '@hearth/shared/api'
import * as z from 'zod'
import type { Prompt, Sampling, ToolChoice } from './stages/llm.ts'

const none = (what: string) => z.array(z.unknown()).max(0, `${what} are not supported yet: expected none`).nullish()

/** Taken as a hint: the bytes tell. */
const SOUNDS = ['wav', 'mp3', 'flac', 'ogg', 'opus', 'webm', 'm4a', 'mp4', 'aac'] as const

const Part = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text'), text: z.string() }),
    z.object({ type: z.literal('refusal'), refusal: z.string() }),
    z.object({
      type: z.literal('input_audio'),
      input_audio: z.object({
        data: z.string(),
        format: z.enum(SOUNDS, `expected one of ${SOUNDS.join(', ')}`),
      }),
    }),
  ],
  'expected a part of type text or input_audio: no other is supported',
)

const Parts = z.array(Part).max(64)

const asParts = (content: unknown): unknown => {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return content ?? []
}

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'] as const

const Message = z.object({
  role: z.enum(ROLES, `expected ${ROLES.join(', ')}`),
  content: z
    .preprocess(asParts, Parts)
    .meta({ accepts: z.union([z.string(), Parts]).nullish() })
    .describe('A text, or parts; a sound can only come from the user.'),
  audio: z.object({ id: z.string() }).nullish().describe('An earlier reply of ours that was spoken.'),
  tool_calls: z.array(FunctionCall).max(64).nullish().describe('Of the assistant: what it asked to be called.'),
  tool_call_id: z.string().max(128).nullish().describe('Of a tool: whose call it answers.'),
})

const Tokens = z.int().min(1).max(100_000).nullish()

const Penalty = z.number().min(-2).max(2).nullish()

const ResponseFormat = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text') }),
    z.object({ type: z.literal('json_object') }),
    z.object({
      type: z.literal('json_schema'),
      json_schema: z.object({
        name: z.string().max(64),
        description: z.string().max(4096).optional(),
        schema: z.record(z.string(), z.unknown()).default({}),
        strict: z.boolean().nullish(),
      }),
    }),
  ],
  'expected text, json_object or json_schema',
)

/** See IGNORED. */
const unused = z.unknown().optional().describe('Taken without effect, which `x-ignored` says.')

export const ChatRequest = z.object({
  model: z.string().max(200).nullish().describe('Any name; the answer names the model that wrote it.'),
  messages: z
    .array(Message)
    .min(1, 'expected at least one message')
    .max(1000)
    .describe('The whole conversation. Without `system` or `developer`, the configured instructions hold.'),
  stream: z.boolean().nullish(),
  modalities: z
    .array(z.enum(['text', 'audio'], 'expected text and audio'))
    .max(2)
    .nullish()
    .describe('With `audio`, the reply is spoken.'),
  audio: z
    .object({
      voice: z.union([z.string().min(1).max(64), z.object({ id: z.string().min(1).max(64) })]).optional(),
      format: z.enum(['wav', 'pcm16'], 'expected wav or pcm16: no other format is supported'),
    })
    .nullish()
    .describe('How it is spoken; `pcm16` is s16le mono 24 kHz, and all that a stream can have.'),
  n: z.literal(1, 'expected 1: one choice is all there is').nullish(),
  max_tokens: Tokens,
  max_completion_tokens: Tokens,
  tools: FunctionTools.nullish(),
  tool_choice: z
    .union([z.enum(['none', 'auto', 'required']), z.object({ function: z.object({ name: z.string() }) })])
    .nullish(),
  parallel_tool_calls: unused,
  functions: none('functions'),
  response_format: ResponseFormat.nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  stop: z.union([z.string().max(200), z.array(z.string().max(200)).max(4)]).nullish(),
  seed: z.int().nullish(),
  frequency_penalty: Penalty,
  presence_penalty: Penalty,
  logit_bias: unused,
  logprobs: unused,
})
export type ChatRequest = z.infer<typeof ChatRequest>

const IGNORED = ['logit_bias', 'logprobs', 'parallel_tool_calls'] as const satisfies readonly (keyof ChatRequest)[]

/** The fields of this request that have no effect. */
export const ignoredFields = (request: ChatRequest): string[] =>
  IGNORED.filter((name) => request[name] !== undefined && request[name] !== null)

/** How the language model is to write, and what it may call. */
export function writingOf(
  request: ChatRequest,
): Pick<Prompt, 'maxTokens' | 'temperature' | 'tools' | 'toolChoice' | 'sampling'> {
  const { temperature, tools, tool_choice: choice } = request
  const maxTokens = request.max_completion_tokens ?? request.max_tokens
  const sampling = samplingOf(request)
  return {
    ...(maxTokens && { maxTokens }),
    ...(typeof temperature === 'number' && { temperature }),
    ...(tools && tools.length > 0 && { tools: tools.map(({ function: spec }) => spec) }),
    ...(choice && { toolChoice: choiceOf(choice, tools ?? []) }),
    ...(Object.keys(sampling).length > 0 && { sampling }),
  }
}

function choiceOf(
  choice: NonNullable<ChatRequest['tool_choice']>,
  tools: NonNullable<ChatRequest['tools']>,
): ToolChoice {
  if (typeof choice === 'string') return choice
  const { name } = choice.function
  if (tools.some((tool) => tool.function.name === name)) return { name }
  throw invalid('tool_choice', 'expected the name of one of the tools')
}

function samplingOf({
  top_p: topP,
  stop,
  seed,
  presence_penalty,
  frequency_penalty,
  response_format,
}: ChatRequest): Sampling {
  return {
    ...(typeof topP === 'number' && { topP }),
    ...(stop && { stop: typeof stop === 'string' ? [stop] : stop }),
    ...(typeof seed === 'number' && { seed }),
    ...(typeof presence_penalty === 'number' && { presencePenalty: presence_penalty }),
    ...(typeof frequency_penalty === 'number' && { frequencyPenalty: frequency_penalty }),
    ...(response_format?.type === 'json_object' && { json: true as const }),
    ...(response_format?.type === 'json_schema' && { json: response_format.json_schema }),
  }
}

/** How the reply is to be spoken; null when it is written only. */
export type Spoken = { readonly voice: string | undefined; readonly format: 'wav' | 'pcm16' }

/** Throws `invalid_request` for sound without `audio`, or for a stream of anything but pcm16. */
export function spokenAs({ modalities, audio, stream }: ChatRequest): Spoken | null {
  if (!modalities?.includes('audio')) return null
  if (!audio) throw invalid('audio', 'expected the voice and format of the sound, because modalities has audio')
  const { voice, format } = audio
  if (stream && format !== 'pcm16') throw invalid('audio.format', `expected pcm16 for a stream, got ${format}`)
  return { voice: typeof voice === 'object' ? voice.id : voice, format }
}

/** Tells of a field that can not be used. */
export const invalid = (param: string, message: string): AppError =>
  new AppError('invalid_request', `${param}: ${message}`, { param })
