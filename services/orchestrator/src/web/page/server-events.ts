/** What the page reads of what comes over /v1/realtime (OpenAI's GA names) and of Hearth's own events beside them. All else is passed over. */
import type { GenerateReply, ModelStatus } from '@hearth/shared/api'

/** `hearth.turn`: where the time of a reply went, and what it was made with. */
export type TurnReport = Pick<GenerateReply, 'turn' | 'timings' | 'waterfall' | 'memories' | 'degraded'> & {
  readonly status: 'running' | 'completed' | 'failed' | 'cancelled'
  /** Null of a turn that was cut off. */
  readonly models: GenerateReply['models'] | null
}

type OfItem = { readonly item_id: string }
type OfResponse = OfItem & { readonly response_id: string }
export type ItemContent = { readonly type: string; readonly text?: string; readonly transcript?: string | null }
export type Item = {
  readonly id: string
  readonly type: string
  readonly role?: 'user' | 'assistant' | 'system'
  readonly status?: 'in_progress' | 'completed' | 'incomplete'
  readonly content?: readonly ItemContent[]
}

export type ServerEvent =
  | { readonly type: 'session.created' | 'session.updated' }
  | ({ readonly type: 'input_audio_buffer.speech_started'; readonly audio_start_ms: number } & OfItem)
  | ({ readonly type: 'input_audio_buffer.speech_stopped'; readonly audio_end_ms: number } & OfItem)
  | ({ readonly type: 'input_audio_buffer.committed' } & OfItem)
  | { readonly type: 'conversation.item.added'; readonly item: Item }
  | ({ readonly type: 'conversation.item.input_audio_transcription.delta'; readonly delta: string } & OfItem)
  | ({ readonly type: 'conversation.item.input_audio_transcription.completed'; readonly transcript: string } & OfItem)
  | ({
      readonly type: 'conversation.item.input_audio_transcription.failed'
      readonly error: { readonly message?: string }
    } & OfItem)
  | { readonly type: 'response.created'; readonly response: { readonly id: string } }
  | {
      readonly type: 'response.output_item.added' | 'response.output_item.done'
      readonly response_id: string
      readonly item: Item
    }
  | ({
      readonly type: 'response.output_audio_transcript.delta' | 'response.output_text.delta'
      readonly delta: string
    } & OfResponse)
  | ({ readonly type: 'response.output_audio.delta'; readonly delta: string } & OfResponse)
  | {
      readonly type: 'response.done'
      readonly response: {
        readonly id: string
        readonly status: string
        readonly status_details?: { readonly error?: { readonly message?: string } } | null
      }
    }
  | { readonly type: 'hearth.loading'; readonly models: readonly ModelStatus[] }
  | ({ readonly type: 'hearth.turn'; readonly response_id: string } & TurnReport)
  | { readonly type: 'error'; readonly error: { readonly message: string; readonly code?: string | null } }
