/**
 * What a client may set of a realtime session, in the GA form of OpenAI's protocol; beta-names.ts brings the older one into it. Fields that
 * Hearth has no use for are taken and forgotten, as clients send new ones every month.
 */
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'

export const AudioFormat = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('audio/pcm'), rate: z.literal(24_000, 'expected 24000').default(24_000) }),
    z.object({ type: z.literal('audio/pcmu') }),
    z.object({ type: z.literal('audio/pcma') }),
  ],
  'expected audio/pcm, audio/pcmu or audio/pcma',
)
export type AudioFormat = z.infer<typeof AudioFormat>

const onTurn = { create_response: z.boolean().default(true), interrupt_response: z.boolean().default(true) }
const EAGERNESS = ['low', 'medium', 'high', 'auto'] as const

/** How the end of a turn is found. Clients send null for what they leave to the server. */
const TurnDetection = z.preprocess(
  withoutNulls,
  z.discriminatedUnion(
    'type',
    [
      z.object({
        type: z.literal('server_vad'),
        threshold: z.number().min(0).max(1).default(0.5),
        prefix_padding_ms: z.int().min(0).max(5000).default(300),
        silence_duration_ms: z.int().min(0).max(10_000).default(500),
        idle_timeout_ms: z.int().min(1000).max(600_000).nullable().default(null),
        ...onTurn,
      }),
      z.object({ type: z.literal('semantic_vad'), eagerness: z.enum(EAGERNESS).default('auto'), ...onTurn }),
    ],
    'expected server_vad or semantic_vad',
  ),
)
export type TurnDetection = z.infer<typeof TurnDetection>

const Transcription = z.object({
  model: z.string().max(200).nullish(),
  language: z
    .string()
    .regex(/^[A-Za-z][A-Za-z -]{1,31}$/, 'expected a code of a language or its English name')
    .nullish(),
  prompt: z.string().max(8000).nullish(),
})

const Tool = z.object({
  type: z.literal('function', 'expected function: no other tools are known'),
  name: z.string().regex(/^[\w-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -'),
  description: z.string().max(4096).nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
})

const ToolChoice = z.union([
  z.enum(['auto', 'none', 'required']),
  z.object({ type: z.literal('function'), name: z.string().max(64) }),
])

const Voice = z
  .union([z.string().min(1).max(64), z.object({ id: z.string().min(1).max(64) })])
  .transform((voice) => (typeof voice === 'string' ? voice : voice.id))

const MAX_INSTRUCTIONS = 32_768
const MAX_TOOLS = 128

/** How a reply is to be made: of the session, and of one response. */
const Reply = z.object({
  output_modalities: z
    .array(z.enum(['text', 'audio'], 'expected text or audio'))
    .min(1)
    .max(2)
    .nullish(),
  instructions: z.string().max(MAX_INSTRUCTIONS).nullish(),
  tools: z.array(Tool).max(MAX_TOOLS).nullish(),
  tool_choice: ToolChoice.nullish(),
  max_output_tokens: z.union([z.int().min(1).max(100_000), z.literal('inf')]).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
})
const Output = z.object({
  format: AudioFormat.nullish(),
  voice: Voice.nullish(),
  speed: z.number().min(0.25).max(4).nullish(),
})

/** What `session.update` brings: only what is to change. */
export const SessionPatch = Reply.extend({
  type: z.enum(['realtime', 'transcription'], 'expected realtime or transcription').nullish(),
  audio: z
    .object({
      input: z
        .object({
          format: AudioFormat.nullish(),
          transcription: Transcription.nullish(),
          noise_reduction: z.unknown().optional(),
          turn_detection: TurnDetection.nullable().optional(),
        })
        .nullish(),
      output: Output.nullish(),
    })
    .nullish(),
})
export type SessionPatch = z.infer<typeof SessionPatch>

/** What `response.create` may say of itself; `input` and `conversation` are read with the items (client-events.ts). */
export const ResponseOptions = Reply.extend({ audio: z.object({ output: Output.nullish() }).nullish() })
export type ResponseOptions = z.infer<typeof ResponseOptions>

export type Modality = 'text' | 'audio'

/** How one reply is made. */
export type ReplyConfig = {
  readonly modality: Modality
  readonly instructions: string
  readonly voice: string | undefined
  readonly format: AudioFormat
  readonly speed: number
  readonly tools: readonly z.infer<typeof Tool>[]
  readonly toolChoice: z.infer<typeof ToolChoice>
  readonly maxTokens: number | 'inf'
  readonly temperature: number | undefined
}

export type SessionConfig = {
  readonly type: 'realtime' | 'transcription'
  readonly model: string
  readonly reply: ReplyConfig
  readonly inputFormat: AudioFormat
  /** Null: the client is told no transcripts. */
  readonly transcription: z.infer<typeof Transcription> | null
  /** Null: the client commits. */
  readonly turnDetection: TurnDetection | null
}

const PCM: AudioFormat = { type: 'audio/pcm', rate: 24_000 }

export const defaultConfig = (
  type: SessionConfig['type'],
  model: string,
  instructions: string,
  transcriber: string,
): SessionConfig => ({
  type,
  model,
  reply: {
    modality: 'audio',
    instructions,
    voice: undefined,
    format: PCM,
    speed: 1,
    tools: [],
    toolChoice: 'auto',
    maxTokens: 'inf',
    temperature: undefined,
  },
  inputFormat: PCM,
  transcription: { model: transcriber },
  turnDetection: TurnDetection.parse({ type: 'server_vad' }),
})

export function patchReply(reply: ReplyConfig, patch: ResponseOptions): ReplyConfig {
  const { output_modalities: modalities, audio } = patch
  return {
    modality: modalities ? (modalities.includes('audio') ? 'audio' : 'text') : reply.modality,
    instructions: patch.instructions ?? reply.instructions,
    voice: audio?.output?.voice ?? reply.voice,
    format: audio?.output?.format ?? reply.format,
    speed: audio?.output?.speed ?? reply.speed,
    tools: patch.tools ?? reply.tools,
    toolChoice: patch.tool_choice ?? reply.toolChoice,
    maxTokens: patch.max_output_tokens ?? reply.maxTokens,
    temperature: patch.temperature ?? reply.temperature,
  }
}

export function patchConfig(config: SessionConfig, patch: SessionPatch): SessionConfig {
  const { format, transcription, turn_detection: turnDetection } = patch.audio?.input ?? {}
  const reply = patchReply(config.reply, patch)
  // Null takes a choice back: the voice then goes by the language of the reply.
  const isVoiceFree = patch.audio?.output?.voice === null
  return {
    ...config,
    type: patch.type ?? config.type,
    reply: isVoiceFree ? { ...reply, voice: undefined } : reply,
    inputFormat: format ?? config.inputFormat,
    transcription: transcription === undefined ? config.transcription : transcription,
    turnDetection: turnDetection === undefined ? config.turnDetection : turnDetection,
  }
}

/** Whether speech is looked for in the same way. */
export const hearAlike = (one: SessionConfig, other: SessionConfig): boolean =>
  isDeepStrictEqual(one.turnDetection, other.turnDetection) && one.inputFormat.type === other.inputFormat.type

/** What OpenAI's sessions have and Hearth does not do is told as null, whatever a client asked for. */
const hearing = ({ inputFormat, transcription, turnDetection }: SessionConfig) => ({
  format: inputFormat,
  transcription,
  noise_reduction: null,
  turn_detection: turnDetection,
})

/** The session as clients are told it. */
export function sessionView(id: string, config: SessionConfig): object {
  const head = { type: config.type, object: 'realtime.session', id }
  if (config.type === 'transcription') return { ...head, audio: { input: hearing(config) }, include: null }
  const { reply } = config
  return {
    ...head,
    model: config.model,
    output_modalities: [reply.modality],
    instructions: reply.instructions,
    audio: { input: hearing(config), output: { format: reply.format, voice: reply.voice ?? null, speed: reply.speed } },
    tools: reply.tools,
    tool_choice: reply.toolChoice,
    max_output_tokens: reply.maxTokens,
    tracing: null,
    // The oldest items go when there is no room for them.
    truncation: 'auto',
    ...(reply.temperature !== undefined && { temperature: reply.temperature }),
  }
}

function withoutNulls(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null))
}
