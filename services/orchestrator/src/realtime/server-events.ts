/** What clients are told, in the GA form of OpenAI's realtime protocol. Each event gets its id when it is sent. */
import type { ModelStatus, RecalledMemory, TurnModels } from '@hearth/shared/api'
import type { Waterfall } from '@hearth/shared/stage-clock'
import type { TurnStage, TurnTimings } from '../turn-events.ts'
import type { TurnRecord } from '../turns.ts'

/** Where in a response something belongs. */
type Place = { readonly response_id: string; readonly item_id: string; readonly output_index: number }
type Content = Place & { readonly content_index: 0 }
type Added = { readonly item: object; readonly previous_item_id: string | null }

export type Fault = {
  readonly type: string
  readonly code: string
  readonly message: string
  readonly param: string | null
}

/** Opt-in (`?hearth=true`): what became of a turn's time. */
export type TurnTold = {
  readonly turn: string
  readonly status: TurnRecord['status']
  readonly timings: TurnTimings
  readonly waterfall: Waterfall<TurnStage>
  readonly memories: readonly RecalledMemory[]
  /** Null of a turn that was cut off. */
  readonly models: TurnModels | null
  readonly degraded: readonly string[]
}

export type ServerEvent =
  | { readonly type: 'session.created' | 'session.updated'; readonly session: object }
  | { readonly type: 'error'; readonly error: Fault & { readonly event_id: string | null } }
  | { readonly type: 'input_audio_buffer.speech_started'; readonly audio_start_ms: number; readonly item_id: string }
  | { readonly type: 'input_audio_buffer.speech_stopped'; readonly audio_end_ms: number; readonly item_id: string }
  | {
      readonly type: 'input_audio_buffer.committed'
      readonly item_id: string
      readonly previous_item_id: string | null
    }
  | { readonly type: 'input_audio_buffer.cleared' }
  | {
      readonly type: 'input_audio_buffer.timeout_triggered'
      readonly audio_start_ms: number
      readonly audio_end_ms: number
      readonly item_id: string
    }
  | ({ readonly type: 'conversation.item.added' | 'conversation.item.done' } & Added)
  | { readonly type: 'conversation.item.retrieved'; readonly item: object }
  | { readonly type: 'conversation.item.deleted'; readonly item_id: string }
  | {
      readonly type: 'conversation.item.truncated'
      readonly item_id: string
      readonly content_index: number
      readonly audio_end_ms: number
    }
  | {
      readonly type: 'conversation.item.input_audio_transcription.delta'
      readonly item_id: string
      readonly content_index: 0
      readonly delta: string
    }
  | {
      readonly type: 'conversation.item.input_audio_transcription.completed'
      readonly item_id: string
      readonly content_index: 0
      readonly transcript: string
      readonly usage: { readonly type: 'duration'; readonly seconds: number }
    }
  | {
      readonly type: 'conversation.item.input_audio_transcription.failed'
      readonly item_id: string
      readonly content_index: 0
      readonly error: Fault
    }
  | { readonly type: 'response.created' | 'response.done'; readonly response: { readonly id: string } & object }
  | {
      readonly type: 'response.output_item.added' | 'response.output_item.done'
      readonly response_id: string
      readonly output_index: number
      readonly item: object
    }
  | ({ readonly type: 'response.content_part.added' | 'response.content_part.done'; readonly part: object } & Content)
  | ({
      readonly type:
        | 'response.output_audio.delta'
        | 'response.output_audio_transcript.delta'
        | 'response.output_text.delta'
      readonly delta: string
    } & Content)
  | ({ readonly type: 'response.output_audio.done' } & Content)
  | ({ readonly type: 'response.output_audio_transcript.done'; readonly transcript: string } & Content)
  | ({ readonly type: 'response.output_text.done'; readonly text: string } & Content)
  | ({
      readonly type: 'response.function_call_arguments.delta'
      readonly call_id: string
      readonly delta: string
    } & Place)
  | ({
      readonly type: 'response.function_call_arguments.done'
      readonly call_id: string
      readonly name: string
      readonly arguments: string
    } & Place)
  | { readonly type: 'hearth.loading'; readonly models: readonly ModelStatus[] }
  | ({ readonly type: 'hearth.turn'; readonly response_id: string } & TurnTold)
