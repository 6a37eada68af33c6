/** The words of WhisperLive's protocol: what its clients say first, and what they understand. Times are texts with three decimals. */
import { AppError } from '@hearth/shared/errors'
import { parseStrictJson } from '@hearth/shared/strict-json'
import { check } from '@hearth/shared/request-body'
import * as z from 'zod'
import type { Segment, Word } from '../speech.ts'

/** Clients of all ages leave fields out, send null, or send more: only the known ones are looked at. */
const Hello = z.object({
  uid: z.string().min(1).max(200).default(''),
  language: z.string().max(64).nullish(),
  task: z.enum(['transcribe', 'translate']).nullish(),
  model: z.string().max(200).nullish(),
  use_vad: z.boolean().nullish(),
  audio_format: z.enum(['float32', 'int16', 'uint8']).nullish(),
  send_last_n_segments: z.int().min(1).max(100).nullish(),
  no_speech_thresh: z.number().min(0).max(1).nullish(),
  hotwords: z.union([z.string().max(4096), z.array(z.string().max(200)).max(200)]).nullish(),
  initial_prompt: z.string().max(8192).nullish(),
  word_timestamps: z.boolean().nullish(),
  vad_parameters: z.object({ threshold: z.number().min(0.05).max(0.95).nullish() }).nullish(),
  enable_translation: z.boolean().nullish(),
  enable_diarization: z.boolean().nullish(),
})

export type Hello = {
  readonly uid: string
  readonly language: string | null
  readonly task: 'transcribe' | 'translate'
  readonly isFiltered: boolean
  readonly audioFormat: 'float32' | 'int16' | 'uint8'
  readonly lastSegments: number
  readonly noSpeechThreshold: number
  readonly threshold: number
  readonly prompt: string | undefined
  readonly hotwords: string | undefined
  readonly hasWords: boolean
  /** What the client wants and does not get. */
  readonly missing: readonly string[]
}

/** As in the design this grew from: a little below the detector's own 0.5, so that a soft beginning is not lost. */
const THRESHOLD = 0.4

/** Throws `invalid_json`, `invalid_request`, `duplicate_field`, `unknown_field`. */
export function readHello(text: string): Hello {
  const hello = check(parseStrictJson(text), Hello)
  const { hotwords, initial_prompt: prompt, language } = hello
  const words = Array.isArray(hotwords) ? hotwords.join(', ') : (hotwords ?? '')
  return {
    uid: hello.uid,
    language: language === '' ? null : (language ?? null),
    task: hello.task ?? 'transcribe',
    isFiltered: hello.use_vad ?? true,
    audioFormat: hello.audio_format ?? 'float32',
    lastSegments: hello.send_last_n_segments ?? 10,
    noSpeechThreshold: hello.no_speech_thresh ?? 0.45,
    threshold: hello.vad_parameters?.threshold ?? THRESHOLD,
    prompt: prompt ?? undefined,
    hotwords: words === '' ? undefined : words,
    hasWords: hello.word_timestamps ?? false,
    missing: [
      ...(hello.enable_translation ? ['translation to other languages'] : []),
      ...(hello.enable_diarization ? ['telling speakers apart'] : []),
    ],
  }
}

/** Ends the audio; a binary message of its own. */
export const END_OF_AUDIO = Buffer.from('END_OF_AUDIO')

/** Samples in [-1, 1]; what is no number is silence. Throws `undecodable_audio` for half a sample. */
export function readSamples(bytes: Buffer, format: Hello['audioFormat']): Float32Array<ArrayBuffer> {
  const size = { float32: 4, int16: 2, uint8: 1 }[format]
  if (bytes.length % size !== 0)
    throw new AppError('undecodable_audio', `expected whole ${format} samples, got ${bytes.length} bytes`)
  const read = {
    float32: (at: number) => bytes.readFloatLE(at),
    int16: (at: number) => bytes.readInt16LE(at) / 32_768,
    uint8: (at: number) => (bytes.readUInt8(at) - 128) / 128,
  }[format]
  const samples = new Float32Array(bytes.length / size)
  for (let at = 0; at < samples.length; at++) {
    const sample = read(at * size)
    samples[at] = Number.isFinite(sample) ? Math.max(-1, Math.min(1, sample)) : 0
  }
  return samples
}

export type LiveSegment = Segment & {
  readonly completed: boolean
  readonly words: readonly Word[]
}

/** `source` is ours: `whole` for an utterance that was heard once more from its beginning to its end, `stream` while it is under way. */
export function segmentsMessage(uid: string, segments: readonly LiveSegment[]): object {
  return { uid, segments: segments.map(wireSegment) }
}

const wireSegment = ({ startSeconds, endSeconds, text, completed, words }: LiveSegment) => ({
  start: startSeconds.toFixed(3),
  end: endSeconds.toFixed(3),
  text,
  completed,
  source: completed ? 'whole' : 'stream',
  ...(words.length > 0 && {
    words: words.map((word) => ({
      word: word.text,
      start: word.startSeconds.toFixed(3),
      end: word.endSeconds.toFixed(3),
      probability: Number(word.probability.toFixed(3)),
    })),
  }),
})

/** The name must be this one: WhisperLive's own client collects finished segments only then. */
export const readyMessage = (uid: string): object => ({ uid, message: 'SERVER_READY', backend: 'faster_whisper' })
export const waitMessage = (uid: string, minutes: number): object => ({ uid, status: 'WAIT', message: minutes })
export const errorMessage = (uid: string, text: string): object => ({ uid, status: 'ERROR', message: text })
export const warningMessage = (uid: string, text: string): object => ({ uid, status: 'WARNING', message: text })
export const overMessage = (uid: string): object => ({ uid, message: 'DISCONNECT' })
export const languageMessage = (uid: string, language: string, probability: number): object => ({
  uid,
  language,
  language_prob: probability,
})
