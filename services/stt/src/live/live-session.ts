/**
 * One live transcription: sound comes in as it is spoken, and segments go out. While an utterance lasts it is heard again and again from its
 * beginning, which gives partials; when it ends it is heard once more, whole, and that is its text for good.
 */
import { FRAME_SAMPLES } from '@hearth/hearing/silero-engine'
import type { DetectVoice } from '@hearth/hearing/voice-model'
import { AppError } from '@hearth/shared/errors'
import type { Segment, SpeechInput, Transcript, Word } from '../speech.ts'
import type { Submit } from '../transcribe.ts'
import { SpeechFinder } from '../voice/speech-finder.ts'
import type { Stretch } from '../voice/speech-finder.ts'
import { AudioWindow } from '../voice/audio-window.ts'
import type { Hello, LiveSegment } from './protocol.ts'

export type LiveOptions = {
  readonly hello: Pick<Hello, 'isFiltered' | 'lastSegments' | 'noSpeechThreshold' | 'threshold'>
  /** How the next input is to be heard, by the model that sits there now. */
  readonly fit: () => Pick<Hello, 'language' | 'task' | 'prompt' | 'hotwords' | 'hasWords'>
  readonly detectVoice: DetectVoice
  readonly submit: Submit
  /** All that the client is to see now: the last finished segments, and the one under way. */
  readonly onSegments: (segments: readonly LiveSegment[]) => void
  readonly onLanguage: (language: string, probability: number) => void
  readonly onPartial?: (latencyMs: number) => void
  /** An utterance is finished; whether its text is another than the last partial's. */
  readonly onUtterance?: (isChanged: boolean) => void
  readonly now?: () => number
}

const RATE_HZ = 16_000
/** Half a second, after which the detector does not care any more where it began. */
const WARM_FRAMES = 16
/** What is listened to in one go; while it is, the next comes together. */
const MOST_FRAMES = 64
const LEAST_FRAMES = 4
const PAD_SAMPLES = 0.3 * RATE_HZ
const PAUSE_SECONDS = 0.6
/** New sound before the next partial: 2 s at first; then by how long the last one took, so that an idle engine gives them sooner. */
const CHUNK_SECONDS = { first: 2, least: 0.6, most: 5 }
const CHUNKS_PER_LATENCY = 4
/** Finished utterances that may wait for the engine before no more sound is listened to. */
const MOST_FINALS = 4

export class LiveSession {
  readonly #options: LiveOptions
  readonly #now: () => number
  readonly #signal: AbortSignal
  readonly #finder: SpeechFinder
  readonly #audio = new AudioWindow()
  /** Detected; null until then. */
  #language: string | null = null
  #hasToldLanguage = false
  /** Frames that the detector has heard. */
  #heard = 0
  #isEnded = false
  #wake: () => void = () => undefined
  #finished: LiveSegment[] = []
  #partial: LiveSegment | null = null
  /** Counts utterances, so that a partial that comes late is known to be late. */
  #utterance = 0
  /** Sample to which finished utterances reach. */
  #toldUntil = 0
  #isPartialUnderWay = false
  #partialEnd = 0
  #chunkSeconds = CHUNK_SECONDS.first
  #finals: Promise<void> = Promise.resolve()
  #finalCount = 0

  constructor(options: LiveOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#now = options.now ?? (() => performance.now())
    this.#finder = new SpeechFinder({ threshold: options.hello.threshold, pauseSeconds: PAUSE_SECONDS })
  }

  /** Seconds of sound that nobody has listened to yet. */
  get backlogSeconds(): number {
    return (this.#audio.end - this.#heard * FRAME_SAMPLES) / RATE_HZ
  }

  push(samples: Float32Array): void {
    if (this.#isEnded) return
    this.#audio.append(samples)
    this.#wake()
  }

  /** No more sound comes: what is open is finished. */
  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  /** Listens until `end`, and until all that was said is told. Rejects as `submit` does, and with the signal's reason. */
  async run(): Promise<void> {
    const leave = () => this.#wake()
    this.#signal.addEventListener('abort', leave, { once: true })
    try {
      for (;;) {
        this.#signal.throwIfAborted()
        const frames = this.#framesToHear()
        if (frames > 0) await this.#listen(frames)
        else if (this.#isEnded) break
        else await new Promise<void>((wake) => (this.#wake = wake))
      }
      for (const stretch of this.#finder.end()) this.#finish(stretch)
      await this.#finals
    } finally {
      this.#signal.removeEventListener('abort', leave)
    }
  }

  #framesToHear(): number {
    const waiting = this.#audio.end / FRAME_SAMPLES - this.#heard
    const whole = this.#isEnded ? Math.ceil(waiting) : Math.floor(waiting)
    return whole >= (this.#isEnded ? 1 : LEAST_FRAMES) ? Math.min(whole, MOST_FRAMES) : 0
  }

  async #listen(frames: number): Promise<void> {
    if (this.#finalCount >= MOST_FINALS) await this.#finals
    const to = this.#heard + frames
    const probabilities = await this.#probabilities(this.#heard, to)
    this.#heard = to
    for (const stretch of this.#finder.push(probabilities)) this.#finish(stretch)
    const { open } = this.#finder
    if (open) this.#hearPartial(open)
    const needed = open ? open.from * FRAME_SAMPLES - PAD_SAMPLES : (to - WARM_FRAMES) * FRAME_SAMPLES - PAD_SAMPLES
    this.#audio.dropBefore(Math.min(needed, (to - WARM_FRAMES) * FRAME_SAMPLES))
  }

  /** Without the filter, everything is speech. */
  async #probabilities(from: number, to: number): Promise<ArrayLike<number>> {
    const { hello, detectVoice } = this.#options
    if (!hello.isFiltered) return Array.from({ length: to - from }, () => 1)
    const warm = Math.min(WARM_FRAMES, from)
    const samples = this.#audio.slice((from - warm) * FRAME_SAMPLES, to * FRAME_SAMPLES)
    return detectVoice({ samples, skipFrames: warm }, this.#signal)
  }

  #soundOf({ from, to }: Stretch): { samples: Float32Array; offsetSeconds: number } {
    // Where a long utterance was cut, what was heard before the cut is not heard again.
    const start = Math.max(this.#toldUntil, from * FRAME_SAMPLES - PAD_SAMPLES)
    return { samples: this.#audio.slice(start, to * FRAME_SAMPLES + PAD_SAMPLES), offsetSeconds: start / RATE_HZ }
  }

  #inputOf(samples: Float32Array): SpeechInput {
    const { language, task, prompt, hotwords, hasWords } = this.#options.fit()
    return {
      samples,
      language: language ?? this.#language,
      task,
      timestamps: hasWords ? 'words' : 'segments',
      ...(prompt !== undefined && { prompt }),
      ...(hotwords !== undefined && { hotwords }),
    }
  }

  /** One at a time, and only when there is enough that is new. It never fails the session: the whole utterance is heard later. */
  #hearPartial(open: Stretch): void {
    const grown = (open.to - Math.max(this.#partialEnd, open.from)) * (FRAME_SAMPLES / RATE_HZ)
    if (this.#isPartialUnderWay || grown < this.#chunkSeconds) return
    this.#isPartialUnderWay = true
    this.#partialEnd = open.to
    void this.#heardPartial(open, this.#utterance)
      .catch(() => undefined)
      .finally(() => (this.#isPartialUnderWay = false))
  }

  async #heardPartial(open: Stretch, utterance: number): Promise<void> {
    const startedAt = this.#now()
    const { samples, offsetSeconds } = this.#soundOf(open)
    const { output } = await this.#options.submit(this.#inputOf(samples), this.#signal)
    const latencyMs = this.#now() - startedAt
    this.#options.onPartial?.(latencyMs)
    const { least, most } = CHUNK_SECONDS
    this.#chunkSeconds = Math.min(most, Math.max(least, (CHUNKS_PER_LATENCY * latencyMs) / 1000))
    if (utterance === this.#utterance) this.#showPartial(output, offsetSeconds)
  }

  #showPartial(output: Transcript, offsetSeconds: number): void {
    const [first] = output.segments
    const last = output.segments.at(-1)
    if (!first || !last || !this.#isBelieved(output)) return
    this.#tellLanguage(output)
    const text = output.segments.map((segment) => segment.text).join('')
    const whole = { text, tokens: [], startSeconds: first.startSeconds, endSeconds: last.endSeconds }
    this.#partial = shifted(whole, output.words, offsetSeconds, false)
    this.#show()
  }

  /** The utterance is over. In order, each from its whole sound. */
  #finish(stretch: Stretch): void {
    this.#utterance++
    const streamed = this.#partial
    this.#partial = null
    const { samples, offsetSeconds } = this.#soundOf(stretch)
    this.#toldUntil = stretch.to * FRAME_SAMPLES + PAD_SAMPLES
    this.#finalCount++
    this.#finals = this.#tellWhole(this.#finals, { samples, offsetSeconds, streamed })
    // `run` hears of it when it waits for them.
    this.#finals.catch(() => undefined)
  }

  /** After those before it. */
  async #tellWhole(
    before: Promise<void>,
    whole: { samples: Float32Array; offsetSeconds: number; streamed: LiveSegment | null },
  ): Promise<void> {
    try {
      await before
      const { output } = await this.#options.submit(this.#inputOf(whole.samples), this.#signal)
      this.#tellFinal(output, whole.offsetSeconds, whole.streamed)
    } finally {
      this.#finalCount--
    }
  }

  #tellFinal(output: Transcript, offsetSeconds: number, streamed: LiveSegment | null): void {
    if (!this.#isBelieved(output)) return
    this.#tellLanguage(output)
    // A model that knows one language only has detected nothing.
    if (output.languageProbability !== null) this.#language ??= output.language
    const segments = output.segments.map((segment, at) => {
      const from = at === 0 ? -Infinity : segment.startSeconds
      const to = output.segments[at + 1]?.startSeconds ?? Infinity
      const words = output.words.filter(({ startSeconds }) => startSeconds >= from && startSeconds < to)
      return shifted(segment, words, offsetSeconds, true)
    })
    if (streamed) this.#options.onUtterance?.(streamed.text.trim() !== output.text)
    this.#finished = [...this.#finished, ...segments].slice(-this.#options.hello.lastSegments)
    this.#show()
  }

  #isBelieved = ({ text, noSpeechProbability }: Transcript): boolean =>
    text !== '' && noSpeechProbability <= this.#options.hello.noSpeechThreshold

  #tellLanguage({ language, languageProbability }: Transcript): void {
    if (this.#hasToldLanguage) return
    this.#hasToldLanguage = true
    this.#options.onLanguage(language, languageProbability ?? 1)
  }

  #show(): void {
    this.#options.onSegments([...this.#finished, ...(this.#partial ? [this.#partial] : [])])
  }
}

function shifted(segment: Segment, words: readonly Word[], offsetSeconds: number, completed: boolean): LiveSegment {
  const shift = <T extends { startSeconds: number; endSeconds: number }>(each: T): T => ({
    ...each,
    startSeconds: each.startSeconds + offsetSeconds,
    endSeconds: each.endSeconds + offsetSeconds,
  })
  return { ...shift(segment), completed, words: words.map(shift) }
}

/** Why a session ended that nobody wanted to end, in words for the client. */
export const failureText = (error: unknown): string =>
  error instanceof AppError ? error.message : 'the transcription failed'
