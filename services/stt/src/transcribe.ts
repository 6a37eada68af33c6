/** One recording of any length through the batcher: its pieces, in order, as one text in one language. */
import type { BatchResult } from '@hearth/shared/batcher'
import type { SpeechInput, Transcript } from './speech.ts'
import { cutAtPauses } from './pieces.ts'
import { UNSPACED } from './words.ts'

export type Submit = (input: SpeechInput, signal: AbortSignal) => Promise<BatchResult<Transcript> & { model: string }>

export type Heard = {
  readonly text: string
  /** A code. */
  readonly language: string
  /** Until the first piece's batch began; milliseconds, as `inferenceMs`, which is the sum over all pieces. */
  readonly queueMs: number
  readonly inferenceMs: number
  readonly batchSize: number
  readonly model: string
}

const SAMPLE_RATE_HZ = 16_000
const WINDOW_SECONDS = 30



/**
 * Transcribes mono samples at 16 kHz, which move to the engine: the caller's array is empty afterwards. The first piece decides
 * the language of the others when `language` is null; those share batches. When one piece fails, so does the whole.
 */
export async function transcribe(
  samples: Float32Array,
  language: string | null,
  submit: Submit,
  signal: AbortSignal,
): Promise<Heard> {
  const [opening, ...others] = cutAtPauses(samples, { sampleRateHz: SAMPLE_RATE_HZ, maxSeconds: WINDOW_SECONDS })
  const first = await submit({ samples: opening ?? samples, language }, signal)
  const found = first.output.language
  const stop = new AbortController()
  const until = AbortSignal.any([signal, stop.signal])
  const rest = await Promise.all(others.map((piece) => submit({ samples: piece, language: found }, until))).catch(
    (error: unknown) => {
      stop.abort()
      throw error
    },
  )
  const all = [first, ...rest]
  return {
    ...first,
    text: joinTexts(
      all.map(({ output }) => output.text),
      found,
    ),
    language: found,
    inferenceMs: all.reduce((sum, { inferenceMs }) => sum + inferenceMs, 0),
  }
}

const joinTexts = (texts: readonly string[], language: string): string =>
  texts.filter(Boolean).join(UNSPACED.has(language) ? '' : ' ')
