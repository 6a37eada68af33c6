/** OpenAI's stream of a transcription: what is certain as soon as it is, then all of it, and the end. */
import { errorBody } from '@hearth/shared/error-response'
import { toAppError } from '@hearth/shared/errors'
import { textOf, verboseSegment } from './reply-formats.ts'
import type { Answer } from './reply-formats.ts'
import type { HeardPart } from './transcribe.ts'

export type StreamOptions = {
  readonly seconds: number
  /** `verbose_json`: segments come too. */
  readonly hasSegments: boolean
  readonly requestId: string
}

/** Recordings that take a moment tell how far they are. */
const PROGRESS_FROM_SECONDS = 60
/** Positions of Whisper's encoder: what a second of sound counts for. */
const TOKENS_PER_SECOND = 50

/** Server-sent events. A failure after the first event is an event too, which OpenAI's clients raise. */
export async function* streamEvents(
  parts: AsyncGenerator<HeardPart, Answer>,
  { seconds, hasSegments, requestId }: StreamOptions,
): AsyncGenerator<Uint8Array, void, void> {
  let segments = 0
  try {
    for (;;) {
      const { done, value } = await parts.next()
      if (done) {
        yield event(doneOf(value))
        break
      }
      if (value.text !== '') yield event({ type: 'transcript.text.delta', delta: value.text })
      for (const segment of hasSegments ? value.segments : [])
        yield event({ type: 'transcript.text.segment', ...verboseSegment(segment, segments++) })
      if (seconds >= PROGRESS_FROM_SECONDS)
        yield event({ type: 'transcript.progress', seconds: value.endSeconds, total_seconds: seconds })
    }
  } catch (error) {
    const known = toAppError(error)
    if (known.code === 'cancelled') return
    yield event(errorBody(known, requestId))
    return
  } finally {
    await parts.return(undefined as never)
  }
  yield Buffer.from('data: [DONE]\n\n')
}

function doneOf(answer: Answer): object {
  const { seconds, promptTokens, tokens, language, model } = answer
  const audio = Math.ceil(seconds * TOKENS_PER_SECOND)
  return {
    type: 'transcript.text.done',
    text: textOf(answer),
    language,
    model,
    usage: {
      type: 'tokens',
      input_tokens: promptTokens + audio,
      input_token_details: { text_tokens: promptTokens, audio_tokens: audio },
      output_tokens: tokens,
      total_tokens: promptTokens + audio + tokens,
    },
  }
}

const event = (data: object): Uint8Array => Buffer.from(`data: ${JSON.stringify(data)}\n\n`)
