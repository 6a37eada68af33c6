/**
 * What an OpenAI-compatible server sends piece by piece: words, parts of tool calls, counts. A piece of another form is an
 * error, and what the server says about an error goes no further, because it may quote the prompt.
 */
import { AppError } from '@hearth/shared/errors'
import * as z from 'zod'
import type { ToolCall, Usage } from './llm.ts'
import { TOOL_LIMITS } from './tools.ts'

/** A tool call comes in parts: its name first, then the JSON of its arguments piece by piece. */
const CallDelta = z.object({
  index: z
    .int()
    .min(0)
    .max(TOOL_LIMITS.calls - 1)
    .default(0),
  id: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
})
type CallDelta = z.infer<typeof CallDelta>

const Chunk = z.object({
  choices: z.array(
    z.object({
      index: z.number().optional(),
      delta: z.object({ content: z.string().nullish(), tool_calls: z.array(CallDelta).nullish() }).nullish(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: z
    .object({
      prompt_tokens: z.number().nullish(),
      completion_tokens: z.number().nullish(),
      prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
    })
    .nullish()
    .catch(null),
})
type Chunk = z.infer<typeof Chunk>

/** A tool call as far as it has come. */
export type GrowingCall = { -readonly [Key in keyof ToolCall]: string }

/** One piece; no choices but the first are read. Throws `dependency_unavailable` when it is none. */
export function readChunk(json: string) {
  const { choices, usage } = parseChunk(json)
  const choice = choices.find(({ index = 0 }) => index === 0)
  return {
    text: choice?.delta?.content ?? '',
    deltas: choice?.delta?.tool_calls ?? [],
    isFinished: typeof choice?.finish_reason === 'string' && choice.finish_reason !== '',
    isFull: choice?.finish_reason === 'length',
    usage: usage ? asUsage(usage) : null,
  }
}

function parseChunk(json: string): Chunk {
  const value = parseJson(json)
  if (typeof value === 'object' && value !== null && 'error' in value && value.error)
    throw unavailable('it broke off with an error')
  const chunk = Chunk.safeParse(value)
  if (!chunk.success) throw unavailable('it sent what is no part of a reply')
  return chunk.data
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw unavailable('it sent no JSON')
  }
}

function asUsage(usage: NonNullable<Chunk['usage']>): Usage {
  const { prompt_tokens: prompt, completion_tokens: reply, prompt_tokens_details: details } = usage
  return {
    ...(typeof prompt === 'number' && { promptTokens: prompt }),
    ...(typeof details?.cached_tokens === 'number' && { cachedPromptTokens: details.cached_tokens }),
    ...(typeof reply === 'number' && { replyTokens: reply }),
  }
}

/** Puts a part of a call where it belongs. Throws `dependency_unavailable` when a call grows without end. */
export function addCall(calls: GrowingCall[], { index, id, function: part }: CallDelta): void {
  const call = (calls[index] ??= { id: '', name: '', args: '' })
  call.id ||= id ?? ''
  call.name ||= part?.name ?? ''
  call.args += part?.arguments ?? ''
  if (call.args.length > TOOL_LIMITS.argumentChars) throw unavailable('it calls a tool without end')
}

export const unavailable = (why: string, retryMs = 1000, cause?: unknown): AppError =>
  new AppError('dependency_unavailable', `the language model's server can't answer: ${why}`, {
    retryAfterMs: retryMs,
    ...(cause !== undefined && { cause }),
  })
