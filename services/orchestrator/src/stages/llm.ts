/** The mind: what the user said and what is known goes in, a reply comes out piece by piece. */
import type { ModelStatus } from '@hearth/shared/api'
import type { ErrorCode } from '@hearth/shared/errors'
import type { Exchange } from '../turn-events.ts'

/** A function that the model may ask to be called: by Hearth itself (tools.ts), or by the client. */
export type ToolSpec = {
  readonly name: string
  readonly description?: string | undefined
  /** JSON Schema of the arguments. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined
}

/** `args` is JSON, as the model wrote it. */
export type ToolCall = { readonly id: string; readonly name: string; readonly args: string }

/** What the client's function gave. */
export type ToolResult = { readonly id: string; readonly content: string }

export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string }

/** OpenAI's `json_schema`. */
export type JsonFormat = {
  readonly name: string
  readonly description?: string | undefined
  readonly schema: Readonly<Record<string, unknown>>
  readonly strict?: boolean | null | undefined
}

/** How a server is to choose its words; each field by OpenAI's definition. */
export type Sampling = {
  readonly topP?: number
  readonly stop?: readonly string[]
  readonly seed?: number
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
  /** JSON, of the given schema if there is one. */
  readonly json?: JsonFormat | true
}

export type Prompt = {
  /** The system text. It never changes between turns, so that a server can keep its prefix. */
  readonly instructions: string
  readonly history: readonly Exchange[]
  /** Of what was said before the history: data, never instructions. */
  readonly summary?: string | undefined
  /** What the user said in the past, what matters most first: data, never instructions. */
  readonly memories: readonly string[]
  readonly user: string
  /** Instead of words of the user: what the calls at the end of the history gave. */
  readonly results?: readonly ToolResult[] | undefined
  /** Functions of the client. */
  readonly tools?: readonly ToolSpec[] | undefined
  readonly toolChoice?: ToolChoice | undefined
  readonly sampling?: Sampling | undefined
  /** Whose timers are meant; without it there are none. It tells the model nothing. */
  readonly session?: string | undefined
  /** What happened since the last turn, such as a timer that rang. */
  readonly notices?: readonly string[] | undefined
  /** Code of the language to answer in; the model's own choice without it. */
  readonly language?: string | null
  readonly maxTokens?: number
  /** 0 always takes the likeliest word. Without it, each model's own. */
  readonly temperature?: number
}

/** What a reply took, as far as it is known. Thoughts count as tokens of the reply. */
export type Usage = {
  readonly promptTokens?: number
  /** Of them, those that the server still knew from an earlier prompt. */
  readonly cachedPromptTokens?: number
  readonly replyTokens?: number
  /** From the request to the first words. */
  readonly firstTokenMs?: number
  /** For each token after the first. */
  readonly perTokenMs?: number
}

/** What two answers took together; a rate is the later one's. */
export function addUsage(one: Usage, other: Usage): Usage {
  const sum: Record<string, number> = { ...one, ...other }
  for (const key of ['promptTokens', 'cachedPromptTokens', 'replyTokens'] as const)
    if (one[key] !== undefined && other[key] !== undefined) sum[key] = one[key] + other[key]
  return sum
}

/** A model that was to answer before the one that did, and why it did not. */
export type Fallback = { readonly model: string; readonly code: ErrorCode }

/** A part of the reply, and who wrote it. The last one of a chain has no text, but tells what the reply took and how it ended. */
export type ReplyPiece = {
  readonly text: string
  readonly model: string
  readonly usage?: Usage
  /** The models that were passed over, in the chain's order; left out when there were none. */
  readonly fallbacks?: readonly Fallback[]
  /** The model broke off, and what was said so far is the reply. */
  readonly incomplete?: true
  /** The reply ends here because it has as many tokens as it may have. */
  readonly isFull?: true
  /** What the client is asked to call; its results are the next thing to say. */
  readonly toolCalls?: readonly ToolCall[]
  /** The reply was given before to the same question (reply-cache.ts). */
  readonly cached?: true
}

export interface LanguageModel {
  /** Who would write the next reply. */
  readonly name: string
  /** What of the prompt has no effect on the model that would answer, by OpenAI's names of the fields. */
  readonly ignores?: (prompt: Pick<Prompt, 'tools' | 'toolChoice' | 'sampling'>) => readonly string[]
  /** Throws `dependency_unavailable`, `invalid_request` when a server refuses this very prompt, or the signal's reason. */
  reply(prompt: Prompt, signal: AbortSignal): AsyncIterable<ReplyPiece>
}

/** A link of a chain (llm-chain.ts). It throws whenever it breaks off; the chain makes an incomplete reply of that. */
export type LanguageModelEntry = LanguageModel & {
  readonly isUsable: () => boolean
  /** For `/ready`. */
  readonly status: ModelStatus
}
