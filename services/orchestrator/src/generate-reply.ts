/**
 * What `POST /generate` answers: one JSON body with everything, or, for `Accept: audio/wav`, the sound itself with everything
 * else in headers. Header values are ASCII, so texts are written as RFC 8187's ext-value: `UTF-8''Gr%C3%BC%C3%9Fe`.
 */
import type { GenerateReply, RecalledMemory } from '@hearth/shared/api'
import { AppError } from '@hearth/shared/errors'
import { wavHeader } from '@hearth/shared/wav'
import { endingBody } from './turn-ending.ts'
import type { TurnDone, TurnEvent } from './turn-events.ts'

/** The names by which a client can ask for more. */
export type TurnIds = { readonly turn: string; readonly session: string }

/** A whole turn, with its fragments of sound. */
export type HeldTurn = TurnIds & {
  readonly transcript: string
  readonly memories: readonly RecalledMemory[]
  readonly done: TurnDone
  /** s16le mono, one for each fragment; null when there is no voice or nothing to say. */
  readonly audio: { readonly pcm: readonly Uint8Array[]; readonly sampleRateHz: number } | null
}

/** Bytes of one text in a header, after encoding; longer texts are cut and end in an ellipsis. The JSON reply has them whole. */
const HEADER_TEXT_BYTES = 4096
const SILENT_RATE_HZ = 24_000

/** Reads a turn to its end. A voice that failed in mid-reply counts as none: half a spoken answer would mislead. */
export async function collectTurn(ids: TurnIds, events: AsyncIterable<TurnEvent>): Promise<HeldTurn> {
  let transcript = ''
  let memories: readonly RecalledMemory[] = []
  let sampleRateHz = 0
  const pcm: Uint8Array[] = []
  for await (const event of events) {
    if (event.type === 'transcript') transcript = event.text
    if (event.type === 'memory') memories = event.memories
    if (event.type === 'audio') {
      pcm.push(event.pcm)
      sampleRateHz = event.sampleRateHz
    }
    if (event.type !== 'done') continue
    const isSpoken = pcm.length > 0 && !event.degraded.has('tts')
    return { ...ids, transcript, memories, done: event, audio: isSpoken ? { pcm, sampleRateHz } : null }
  }
  throw new Error('expected a turn to end with done: this is a bug')
}

export function jsonBody({ turn, session, transcript, memories, done, audio }: HeldTurn): GenerateReply {
  const { reply, language, timings, waterfall, models, degraded, ending } = done
  const sound = audio && {
    format: 'wav' as const,
    sampleRateHz: audio.sampleRateHz,
    base64: wavFile(audio).toString('base64'),
  }
  const told = {
    ...endingBody(ending),
    audio: sound,
    language,
    timings,
    waterfall,
    models,
    degraded: [...degraded.keys()],
  }
  return { turn, session, transcript, reply, memories, ...told }
}

/** The WAV with `headers` and those that tell of the turn; without a word spoken, a WAV of no samples. Throws `stage_failed` when the voice failed. */
export function wavReply({ transcript, done, audio }: HeldTurn, headers: Readonly<Record<string, string>>): Response {
  requireSound(done)
  const body = wavFile(audio ?? { pcm: [], sampleRateHz: SILENT_RATE_HZ })
  return new Response(body, {
    headers: {
      'content-type': 'audio/wav',
      'content-length': String(body.length),
      ...headers,
      ...toldHeaders(transcript, done),
    },
  })
}

/** What a turn's sound leaves unsaid, as headers, or as trailers of a sound that was sent while it was made. */
export const TOLD_HEADERS = ['x-transcript', 'x-reply', 'x-timings', 'x-models', 'x-degraded'] as const

const toldHeaders = (transcript: string, { reply, timings, models, degraded }: TurnDone) =>
  ({
    'x-transcript': extValue(transcript),
    'x-reply': extValue(reply),
    'x-timings': JSON.stringify(timings),
    'x-models': asciiJson(models),
    'x-degraded': [...degraded.keys()].join(', '),
  }) satisfies Record<(typeof TOLD_HEADERS)[number], string>

/**
 * The sound of a turn while it is made, its first bytes with the first clause: s16le, or a WAV whose header leaves its length open. At its end
 * `tell` gets what else there is to say, as headers. Throws `stage_failed` when the voice fails: half a spoken answer must not look whole.
 */
export async function* soundBytes(
  events: AsyncIterable<TurnEvent>,
  format: 'wav' | 'pcm',
  tell: (told: Readonly<Record<string, string>>) => void,
): AsyncGenerator<Uint8Array, void, void> {
  let hasHeader = format === 'pcm'
  let transcript = ''
  for await (const event of events) {
    if (event.type === 'transcript') transcript = event.text
    if (event.type === 'audio') {
      if (!hasHeader) yield wavHeader({ sampleRateHz: event.sampleRateHz, sampleCount: 'stream' })
      hasHeader = true
      yield event.pcm
    }
    if (event.type !== 'done') continue
    requireSound(event)
    if (!hasHeader) yield wavHeader({ sampleRateHz: SILENT_RATE_HZ, sampleCount: 0 })
    tell(toldHeaders(transcript, event))
  }
}

function requireSound({ degraded }: TurnDone): void {
  const failure = degraded.get('tts')
  if (!failure) return
  const message = 'tts: there is no sound to send; ask for application/json to get the reply as text'
  throw new AppError('stage_failed', message, { cause: failure, details: { stage: 'tts' } })
}

function wavFile({ pcm, sampleRateHz }: NonNullable<HeldTurn['audio']>): Buffer<ArrayBuffer> {
  const byteCount = pcm.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([wavHeader({ sampleRateHz, sampleCount: byteCount / 2 }), ...pcm])
}

/** RFC 8187's ext-value of a text, at most `maxBytes` long. */
export function extValue(text: string, maxBytes = HEADER_TEXT_BYTES): string {
  const ellipsis = percentEncode('…')
  const room = maxBytes - "UTF-8''".length - ellipsis.length
  let encoded = ''
  for (const character of text.toWellFormed()) {
    const next = percentEncode(character)
    if (encoded.length + next.length > room) return `UTF-8''${encoded}${ellipsis}`
    encoded += next
  }
  return `UTF-8''${encoded}`
}

/** RFC 8187 allows fewer characters than encodeURIComponent leaves alone. */
const percentEncode = (text: string): string =>
  encodeURIComponent(text).replace(/['()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)

const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
