/** A response as clients are told it, as a whole: when it is created and when it is done. */
import type { Usage } from '../stages/llm.ts'
import { itemView } from './items.ts'
import type { Fault } from './server-events.ts'
import { send } from './session-state.ts'
import type { Effect, LiveResponse } from './session-state.ts'

export type Outcome =
  | { readonly status: 'completed' }
  | { readonly status: 'incomplete'; readonly reason: 'max_output_tokens' | 'content_filter' }
  | { readonly status: 'cancelled'; readonly reason: 'turn_detected' | 'client_cancelled' }
  | { readonly status: 'failed'; readonly error: Fault }

export const tellCreated = (response: LiveResponse): Effect =>
  send({ type: 'response.created', response: responseView(response, null, undefined) })

export function responseView(response: LiveResponse, outcome: Outcome | null, usage: Usage | undefined) {
  const { id, config, metadata, outputs, isApart } = response
  const { status = 'in_progress', ...why } = outcome ?? {}
  return {
    id,
    object: 'realtime.response',
    status,
    status_details: outcome && outcome.status !== 'completed' ? { type: status, ...why } : null,
    output: outputs.map(itemView),
    conversation_id: isApart ? null : `conv_${id.slice(5, 21)}`,
    output_modalities: [config.modality],
    audio: { output: { format: config.format, voice: config.voice ?? null } },
    max_output_tokens: config.maxTokens,
    metadata,
    usage: outcome && usageView(usage ?? {}),
  }
}

/** Tokens are the language model's: it reads and writes text. */
function usageView({ promptTokens = 0, cachedPromptTokens = 0, replyTokens = 0 }: Usage) {
  return {
    total_tokens: promptTokens + replyTokens,
    input_tokens: promptTokens,
    output_tokens: replyTokens,
    input_token_details: { text_tokens: promptTokens, audio_tokens: 0, cached_tokens: cachedPromptTokens },
    output_token_details: { text_tokens: replyTokens, audio_tokens: 0 },
  }
}
