/**
 * Live captions: while somebody speaks, what was said so far is transcribed again and again from its beginning, and what two transcripts in a
 * row agree on is shown. It is a courtesy, so it asks the stt service directly, seldom when that is slow, not for a while when it failed, and
 * gives up the moment the utterance ends: the transcript that counts must not wait for it.
 */
import { toAppError } from '@hearth/shared/errors'
import type { Log } from '@hearth/shared/telemetry'
import type { SpeechToText } from '../stages/stt.ts'
import { StablePrefix } from './stable-prefix.ts'

export type CaptionsOptions = {
  /** The service itself: what goes through the queue comes too late. */
  readonly stt: SpeechToText
  /** Transcripts under way for all conversations together. */
  readonly maxInFlight?: number
  readonly log: Pick<Log, 'debug'>
  readonly now?: () => number
}

export type Utterance = {
  /** All that was said so far, as a WAV file. */
  readonly wav: () => Uint8Array
  readonly language?: string
  /** Text to be added to what was shown of this utterance; none comes after `end`. */
  readonly onDelta: (delta: string) => void
}

/** Of one utterance. */
export type Caption = {
  /** It is that long by now. */
  grow(seconds: number): void
  /** It is over; a transcript under way is given up. */
  end(): void
}

/** New sound before the next transcript: a second at first; then by how long the last one took, so that an idle engine gives them sooner. */
const CHUNK_SECONDS = { first: 1, least: 0.6, most: 5 }
/** After a failure. */
const REST_MS = 5000
const CHUNKS_PER_LATENCY = 4
/** Half of a batch of the stt service, so that whoever waits for a whole transcript shares the next one. */
const MAX_IN_FLIGHT = 2

export class Captions {
  readonly #options: CaptionsOptions
  readonly #now: () => number
  #inFlight = 0
  #chunkSeconds = CHUNK_SECONDS.least
  #restsUntil = -Infinity

  constructor(options: CaptionsOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  begin(utterance: Utterance): Caption {
    const over = new AbortController()
    const shown = new StablePrefix()
    let heardSeconds = 0
    let isUnderWay = false
    const hear = async (): Promise<void> => {
      isUnderWay = true
      const text = await this.#transcript(utterance, over.signal)
      isUnderWay = false
      const delta = text === null || over.signal.aborted ? '' : shown.hear(text)
      if (delta !== '') utterance.onDelta(delta)
    }
    return {
      grow: (seconds) => {
        const isDue = seconds - heardSeconds >= (heardSeconds === 0 ? CHUNK_SECONDS.first : this.#chunkSeconds)
        if (!isDue || isUnderWay || over.signal.aborted || this.#isHeldBack) return
        heardSeconds = seconds
        void hear()
      },
      end: () => over.abort(),
    }
  }

  get #isHeldBack(): boolean {
    return this.#inFlight >= (this.#options.maxInFlight ?? MAX_IN_FLIGHT) || this.#now() < this.#restsUntil
  }

  /** Null when there is none. What one conversation learns of the engine's speed holds for all. */
  async #transcript({ wav, language }: Utterance, signal: AbortSignal): Promise<string | null> {
    const { stt, log } = this.#options
    const startedAt = this.#now()
    this.#inFlight++
    try {
      const { text } = await stt.transcribe(wav(), signal, language)
      this.#chunkSeconds = chunkSecondsAfter(this.#now() - startedAt)
      return text
    } catch (error) {
      if (signal.aborted) return null
      this.#restsUntil = this.#now() + REST_MS
      log.debug({ code: toAppError(error).code }, 'no caption')
      return null
    } finally {
      this.#inFlight--
    }
  }
}

/** New sound worth another transcript, when the last one took that long. */
export function chunkSecondsAfter(latencyMs: number): number {
  const { least, most } = CHUNK_SECONDS
  return Math.min(most, Math.max(least, (CHUNKS_PER_LATENCY * latencyMs) / 1000))
}
