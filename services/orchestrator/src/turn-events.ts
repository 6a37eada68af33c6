/** The words of a turn: what goes in, the stages it passes, and the events that come out. */
import type { RecalledMemory, TurnModels } from '@hearth/shared/api'
import type { AppError } from '@hearth/shared/errors'
import type { StageClock, Waterfall } from '@hearth/shared/stage-clock'
import type { LanguageModel, Prompt, ReplyPiece, ToolCall, ToolResult } from './stages/llm.ts'
import type { Memory } from './stages/memory.ts'
import type { SpeechToText } from './stages/stt.ts'
import type { TextToSpeech } from './stages/tts.ts'

export type Stages = {
  readonly stt: SpeechToText
  readonly memory: Memory
  readonly llm: LanguageModel
  readonly tts: TextToSpeech
}

/** Stages that can fail without ending the turn. */
export type OptionalStage = 'sessions' | 'queue' | 'memory' | 'voice' | 'tts'

/**
 * Measured and told in this order. `request`, `voice` and `session` come before the turn: reading what was sent, looking the voice up, and
 * waiting for the session. `llm.first_token` counts from the question to the language model, `tts.first_byte` from the first fragment's,
 * `first_audio` from the start of all.
 */
export const TURN_STAGES = [
  'request',
  'voice',
  'session',
  'stt',
  'memory',
  'llm.first_token',
  'llm',
  'tts.first_byte',
  'tts',
  'first_audio',
  'remember',
] as const
export type TurnStage = (typeof TURN_STAGES)[number]
export type TurnClock = StageClock<TurnStage>
export type TurnTimings = ReturnType<TurnClock['timings']>

/** What the user said, or what functions of the client gave, and what was answered: words, calls of functions, or both. */
export type Exchange = {
  /** Empty when there are results. */
  readonly user: string
  readonly results?: readonly ToolResult[] | undefined
  readonly reply: string
  readonly calls?: readonly ToolCall[] | undefined
}

/** The part of a session that a turn uses. */
export type TurnSession = {
  readonly id: string
  readonly history: readonly Exchange[]
  /** Of what was said before that; '' when the history is all. */
  readonly summary?: string
  add(exchange: Exchange): void
}

export type TurnInput = {
  /** A whole WAV file, or the words themselves, which no model had to hear. */
  readonly said:
    | { readonly wav: Uint8Array }
    | {
        readonly text: string
        readonly model: null
        readonly language?: string | undefined
        /** What the calls of the turn before gave; `text` is then what the user had asked. */
        readonly results?: readonly ToolResult[] | undefined
      }
  readonly session: TurnSession
  /** Whose memory it is. */
  readonly user: string
  /** As memory notes it: where it was said. */
  readonly turn?: string | undefined
  /** Chosen by the reply's language when it is left out. */
  readonly voice?: string | undefined
  /** Of what is said and of the reply, a code or an English name; detected when it is left out. */
  readonly language?: string | undefined
  /** The system text for the language model. */
  readonly instructions: string
  /** How the language model writes. */
  readonly writing?: Pick<Prompt, 'maxTokens' | 'temperature' | 'tools' | 'toolChoice'>
  /** False: the reply is written only. */
  readonly speak?: boolean | undefined
  /** False: memory keeps nothing of what was said. */
  readonly remember?: boolean | undefined
}

export type TurnEvent =
  | { readonly type: 'transcript'; readonly text: string }
  | { readonly type: 'memory'; readonly memories: readonly RecalledMemory[] }
  | { readonly type: 'reply.delta'; readonly text: string }
  | {
      readonly type: 'audio'
      /** The fragment of the reply that is spoken. */
      readonly text: string
      /** s16le mono. */
      readonly pcm: Uint8Array
      readonly sampleRateHz: number
    }
  | { readonly type: 'tool_calls'; readonly calls: readonly ToolCall[] }
  | TurnDone

export type TurnEvents = AsyncGenerator<TurnEvent, void, void>

/** How the reply ended: what it took, which models were passed over, whether it is whole. */
export type TurnEnding = Omit<ReplyPiece, 'text' | 'model'>

export type TurnDone = {
  readonly type: 'done'
  readonly reply: string
  /** Code of the language that the reply was asked for in; null when it is not known. */
  readonly language: string | null
  readonly timings: TurnTimings
  readonly waterfall: Waterfall<TurnStage>
  readonly models: TurnModels
  readonly ending: TurnEnding
  /** The stages that the turn went on without, and why. */
  readonly degraded: Map<OptionalStage, AppError>
}
