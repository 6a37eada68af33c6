/** What was heard, in the forms that people ask for: OpenAI's JSON and verbose JSON, plain text, and the two kinds of subtitles. */
import type { Transcription } from '@hearth/shared/api'
import { languageName } from '@hearth/shared/languages'
import type { Confidence, Segment } from './speech.ts'
import type { Heard } from './transcribe.ts'

/** What was heard, and of what. */
export type Answer = Heard & {
  /** Of the whole recording. */
  readonly seconds: number
  readonly task: 'transcribe' | 'translate'
  /** What was wrong with the file and could be passed over. */
  readonly warnings: readonly string[]
}

export const textOf = ({ parts }: Pick<Heard, 'parts'>): string => parts.map(({ text }) => text).join('')

/** OpenAI's body, with the language, the model, and what there is to warn of. */
export function jsonOf(answer: Answer): Transcription {
  const text = textOf(answer)
  const { language, model, seconds, warnings } = answer
  return {
    text,
    language: languageName(language),
    model,
    // OpenAI counts begun seconds.
    usage: { type: 'duration', seconds: Math.ceil(seconds) },
    ...(text === '' && { no_speech: true }),
    ...(warnings.length > 0 && { warnings }),
  }
}

/** OpenAI's `verbose_json`. Words only where they were asked for. */
export function verboseOf(answer: Answer, hasWords: boolean): object {
  const { parts, task, language, languageProbability, seconds } = answer
  const { text, ...rest } = jsonOf(answer)
  const words = parts.flatMap((part) => part.words)
  return {
    task,
    duration: rounded(seconds),
    text,
    ...rest,
    language_code: language,
    language_probability: languageProbability,
    segments: parts.flatMap(({ segments }) => segments).map(verboseSegment),
    ...(hasWords && {
      words: words.map((word) => ({
        word: word.text.trim(),
        start: rounded(word.startSeconds),
        end: rounded(word.endSeconds),
        probability: rounded(word.probability),
      })),
    }),
  }
}

/** `seek` counts frames of 10 ms, as in OpenAI's program. */
export const verboseSegment = (segment: Segment & Confidence, id: number) => ({
  id,
  seek: Math.round(segment.startSeconds * 100),
  start: rounded(segment.startSeconds),
  end: rounded(segment.endSeconds),
  text: segment.text,
  tokens: segment.tokens,
  temperature: segment.temperature,
  avg_logprob: rounded(segment.averageLogProbability),
  compression_ratio: rounded(segment.compressionRatio),
  no_speech_prob: rounded(segment.noSpeechProbability),
})

const rounded = (value: number): number => Math.round(value * 1000) / 1000

/** SubRip: numbered, comma before the milliseconds. */
export const srtOf = ({ parts }: Heard): string =>
  cues(parts)
    .map(({ startSeconds, endSeconds, text }, at) => {
      return `${at + 1}\n${clock(startSeconds, ',')} --> ${clock(endSeconds, ',')}\n${text}\n\n`
    })
    .join('')

/** WebVTT. */
export const vttOf = ({ parts }: Heard): string =>
  `WEBVTT\n\n${cues(parts)
    .map(
      ({ startSeconds, endSeconds, text }) => `${clock(startSeconds, '.')} --> ${clock(endSeconds, '.')}\n${text}\n\n`,
    )
    .join('')}`

/** An arrow within a text would begin a new cue, and an empty line end this one. */
const cues = (parts: Heard['parts']) =>
  parts
    .flatMap(({ segments }) => segments)
    .map((segment) => ({ ...segment, text: segment.text.trim().replaceAll('-->', '->').replaceAll(/\s+/gu, ' ') }))

function clock(seconds: number, point: ',' | '.'): string {
  const ms = Math.round(seconds * 1000)
  const pad = (value: number, length: number) => String(value).padStart(length, '0')
  const [hours, minutes, rest] = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60, Math.floor(ms / 1000) % 60]
  return `${pad(hours, 2)}:${pad(minutes, 2)}:${pad(rest, 2)}${point}${pad(ms % 1000, 3)}`
}
