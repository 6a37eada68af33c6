/**
 * One recording of any length through the batcher: its chunks side by side, its results in order, each as soon as it is certain.
 */
import type { BatchResult } from '@hearth/shared/batcher'
import type { Confidence, Segment, SpeechInput, Transcript, Word } from './speech.ts'
import type { Chunk } from './voice/sound-reader.ts'
import { UNSPACED } from './words.ts'

export type Submit = (input: SpeechInput, signal: AbortSignal) => Promise<BatchResult<Transcript> & { model: string }>

/** How it is to be heard; the engine's input without its samples. */
export type HearingOptions = Omit<SpeechInput, 'samples'>

/** What one chunk held; seconds count from the beginning of the recording. */
export type HeardPart = {
  /** Joined, the parts' texts are the whole; from the second on with what stands between them. */
  readonly text: string
  readonly segments: readonly (Segment & Confidence)[]
  readonly words: readonly Word[]
  /** How far the recording is done. */
  readonly endSeconds: number
}

export type Heard = {
  readonly parts: readonly HeardPart[]
  /** A code. */
  readonly language: string
  readonly languageProbability: number | null
  readonly tokens: number
  readonly promptTokens: number
  /** Until the first chunk's batch began; milliseconds, as `inferenceMs`, which is the sum over all chunks. */
  readonly queueMs: number
  readonly inferenceMs: number
  readonly batchSize: number
  readonly model: string
}

const SAMPLE_RATE_HZ = 16_000
/** Chunks under way: enough for two batches, so that the next is ready when one ends. */
const CHUNKS_AT_ONCE = 8

type Answer = Awaited<ReturnType<Submit>>
/** Where a chunk lies, in samples. */
type Span = Pick<Chunk, 'from' | 'to'>

/**
 * The first chunk decides the language of the others when `language` is null. When one chunk fails, so does the whole, and the rest is given
 * up. Chunks are asked for as others are done. Returns null where no chunk came: nobody speaks.
 */
export async function* transcribe(
  chunks: AsyncIterable<Chunk>,
  { options, submit, signal }: { options: HearingOptions; submit: Submit; signal: AbortSignal },
): AsyncGenerator<HeardPart, Heard | null> {
  const stop = new AbortController()
  const until = AbortSignal.any([signal, stop.signal])
  const answers: { chunk: Span; answer: Promise<Answer> }[] = []
  const total = new Total()
  let language = options.language
  const next = async (): Promise<HeardPart> => {
    const first = answers.shift()
    if (!first) throw new Error('expected a chunk under way: this is a bug')
    return total.add(await first.answer, first.chunk)
  }
  try {
    for await (const { from, to, samples } of chunks) {
      const answer = submit({ ...options, language, samples }, until)
      answer.catch(() => undefined) // heard when its turn comes
      answers.push({ chunk: { from, to }, answer })
      if (language === null) {
        yield await next()
        language = total.language
      } else if (answers.length >= CHUNKS_AT_ONCE) yield await next()
    }
    while (answers.length > 0) yield await next()
    return total.heard()
  } finally {
    stop.abort()
  }
}

/** What the parts come to. */
class Total {
  readonly #parts: HeardPart[] = []
  #first: Answer | undefined
  #inferenceMs = 0
  #tokens = 0
  #promptTokens = 0

  get language(): string | null {
    return this.#first?.output.language ?? null
  }

  add(answer: Answer, chunk: Span): HeardPart {
    this.#first ??= answer
    this.#inferenceMs += answer.inferenceMs
    this.#tokens += answer.output.tokens
    this.#promptTokens += answer.output.promptTokens
    const isFirst = this.#parts.every(({ text }) => text === '')
    const part = partOf(answer.output, chunk, isFirst)
    this.#parts.push(part)
    return part
  }

  heard(): Heard | null {
    if (!this.#first) return null
    const { output, queueMs, batchSize, model } = this.#first
    return {
      parts: this.#parts,
      language: output.language,
      languageProbability: output.languageProbability,
      tokens: this.#tokens,
      promptTokens: this.#promptTokens,
      queueMs,
      inferenceMs: this.#inferenceMs,
      batchSize,
      model,
    }
  }
}

function partOf(output: Transcript, chunk: Span, isFirst: boolean): HeardPart {
  const offset = chunk.from / SAMPLE_RATE_HZ
  const { averageLogProbability, compressionRatio, noSpeechProbability, temperature } = output
  const between = isFirst || output.text === '' || UNSPACED.has(output.language) ? '' : ' '
  const shift = <T extends { startSeconds: number; endSeconds: number }>(each: T): T => ({
    ...each,
    startSeconds: each.startSeconds + offset,
    endSeconds: each.endSeconds + offset,
  })
  return {
    text: between + output.text,
    segments: output.segments.map((segment) => ({
      ...shift(segment),
      averageLogProbability,
      compressionRatio,
      noSpeechProbability,
      temperature,
    })),
    words: output.words.map(shift),
    endSeconds: chunk.to / SAMPLE_RATE_HZ,
  }
}
