/** Decoded tokens with timestamps among them, as segments: OpenAI's rule of what belongs together. */
import { textTokens } from './decoding.ts'
import { firstTimestamp } from './generation-settings.ts'
import type { GenerationSettings } from './generation-settings.ts'
import type { Segment } from './speech.ts'
import { TIMESTAMP_SECONDS } from './token-rules.ts'

export type SegmentOptions = {
  readonly settings: GenerationSettings
  /** Of the clip: no time goes beyond its end. */
  readonly seconds: number
  readonly textOf: (tokens: readonly number[]) => string
}

/** In order. Text without a timestamp after it lasts to the end of the clip; segments without words are left out. */
export function segmentsOf(tokens: readonly number[], { settings, seconds, textOf }: SegmentOptions): Segment[] {
  const stamp = firstTimestamp(settings)
  const segments: Segment[] = []
  let start = 0
  let words: number[] = []
  const close = (end: number) => {
    const text = words.length > 0 ? textOf(textTokens(words, settings)) : ''
    if (text.trim() !== '')
      segments.push({ startSeconds: Math.min(start, seconds), endSeconds: Math.min(end, seconds), text, tokens: words })
    words = []
  }
  for (const token of tokens) {
    if (token < stamp) {
      words.push(token)
      continue
    }
    const time = (token - stamp) * TIMESTAMP_SECONDS
    close(time)
    start = time
  }
  close(seconds)
  return segments
}
