/**
 * From the probabilities of 32 ms frames to the turns of one speaker: pure, counted in samples, no clock. Speech begins after two frames
 * of it, so that a click is none; a pause is told before the turn ends, so that others may begin on trust what they throw away if it goes on.
 */
import { FRAME_SAMPLES } from './silero-engine.ts'

/** Samples at 16 kHz since the stream began. They never go back from one event to the next. */
export type SpeechEvent =
  /** Where speech began, less the padding, yet not before the end of the turn before. */
  | { readonly type: 'started'; readonly atSample: number }
  /** 200 ms of silence have passed: speculation may begin. `speechEndSample` is where they began. */
  | { readonly type: 'paused'; readonly atSample: number; readonly speechEndSample: number }
  /** Speech again before the end was decided; `atSample` is where it began. */
  | { readonly type: 'resumed'; readonly atSample: number }
  /** The turn is over. Without a `paused` before it when as little silence was asked for. */
  | {
      readonly type: 'stopped'
      readonly atSample: number
      readonly speechEndSample: number
      /** `turn_end`: the turn-end model had its say; `silence`: nothing but the silence. */
      readonly decidedBy: 'silence' | 'turn_end'
    }

export type Eagerness = 'low' | 'medium' | 'high' | 'auto'

/** OpenAI's `turn_detection`, as far as it is about hearing. */
export type TurnDetection =
  | {
      readonly type: 'server_vad'
      /** Probability from which a frame is speech. */
      readonly threshold: number
      readonly prefixPaddingMs: number
      readonly silenceMs: number
    }
  | { readonly type: 'semantic_vad'; readonly eagerness: Eagerness }

type Patience = {
  /** Probability of the end from which nothing more is waited for. */
  readonly sure: number
  /** Silence that ends every turn: OpenAI's 2, 4 and 8 s. */
  readonly mostMs: number
  /** Silence that ends a turn while the turn-end model is away. */
  readonly withoutModelMs: number
}

const PATIENCE: Readonly<Record<Exclude<Eagerness, 'auto'>, Patience>> = {
  low: { sure: 0.7, mostMs: 8000, withoutModelMs: 1500 },
  medium: { sure: 0.5, mostMs: 4000, withoutModelMs: 800 },
  high: { sure: 0.4, mostMs: 2000, withoutModelMs: 500 },
}

export const PAUSE_MS = 200
/** Speech goes on until the probability is this much below the threshold, or next to nothing. */
const HYSTERESIS = 0.1
const LEAST_THRESHOLD = 0.01
const LEAST_SPEECH_FRAMES = 2
const SEMANTIC = { threshold: 0.5, prefixPaddingMs: 300 }
const SAMPLES_PER_MS = 16

const framesIn = (ms: number): number => Math.max(1, Math.ceil((ms * SAMPLES_PER_MS) / FRAME_SAMPLES))

/** Silence in milliseconds that ends a turn, given how likely it is over (null: nobody knows). The surer, the shorter. */
export function patienceMs(eagerness: Eagerness, probability: number | null): number {
  const { sure, mostMs, withoutModelMs } = PATIENCE[eagerness === 'auto' ? 'medium' : eagerness]
  if (probability === null) return withoutModelMs
  return PAUSE_MS + (mostMs - PAUSE_MS) * Math.max(0, 1 - probability / sure)
}

export class SpeechTurns {
  #detection: TurnDetection
  #frame = 0
  /** Sound before this sample is no part of any turn to come. */
  #floor = 0
  #startSample: number | null = null
  /** Speech frames in a row, up to the last. */
  #run = 0
  /** The frame after the last that was speech. */
  #speechEnd = 0
  #isPaused = false
  /** What the turn-end model said of this pause. */
  #answer: { readonly probability: number | null } | undefined

  constructor(detection: TurnDetection) {
    this.#detection = detection
  }

  /** Other settings from the next frame on; a turn that is under way goes on. */
  configure(detection: TurnDetection): void {
    // A pause that no model was asked about is told again, for the question: without an answer it would last until somebody speaks.
    if (detection.type !== this.#detection.type && !this.#answer) this.#isPaused = false
    this.#detection = detection
  }

  /** Where the turn that is under way began; null between turns. */
  get startSample(): number | null {
    return this.#startSample
  }

  /** Samples heard so far, in whole frames. */
  get position(): number {
    return this.#frame * FRAME_SAMPLES
  }

  /** Whether the next silence depends on what the turn-end model says. */
  get isUndecided(): boolean {
    return this.#detection.type === 'semantic_vad' && this.#isPaused && this.#answer === undefined
  }

  /** Forgets the turn that is under way, and all sound before `sample`. */
  forget(sample: number): void {
    this.#floor = sample
    this.#run = 0
    this.#end()
  }

  /** Frames before this sample that nobody heard: what was goes on. */
  skipTo(sample: number): void {
    const frames = sample / FRAME_SAMPLES - this.#frame
    this.#frame += frames
    this.#speechEnd += frames
  }

  /** How likely the turn is over, for the pause that it is in; null when nobody can tell. */
  decide(probability: number | null): void {
    if (this.isUndecided) this.#answer = { probability }
  }

  /** The next frame. */
  hear(probability: number): SpeechEvent | null {
    const at = this.#frame++
    const { threshold } = this.#detection.type === 'server_vad' ? this.#detection : SEMANTIC
    const isGoingOn = this.#run > 0 || (this.#startSample !== null && !this.#isPaused)
    const isForgotten = at * FRAME_SAMPLES < this.#floor
    const isSpeech =
      !isForgotten && probability >= (isGoingOn ? Math.max(LEAST_THRESHOLD, threshold - HYSTERESIS) : threshold)
    this.#run = isSpeech ? this.#run + 1 : 0
    if (isSpeech && isGoingOn && !this.#isPaused) this.#speechEnd = at + 1
    if (this.#startSample === null) return this.#run >= LEAST_SPEECH_FRAMES ? this.#start() : null
    if (this.#isPaused && this.#run >= LEAST_SPEECH_FRAMES) return this.#resume()
    return this.#silence()
  }

  #start(): SpeechEvent {
    const { prefixPaddingMs } = this.#detection.type === 'server_vad' ? this.#detection : SEMANTIC
    const from = this.#runSample - prefixPaddingMs * SAMPLES_PER_MS
    this.#startSample = Math.max(this.#floor, Math.round(from))
    this.#speechEnd = this.#frame
    return { type: 'started', atSample: this.#startSample }
  }

  #resume(): SpeechEvent {
    this.#isPaused = false
    this.#answer = undefined
    this.#speechEnd = this.#frame
    return { type: 'resumed', atSample: this.#runSample }
  }

  #silence(): SpeechEvent | null {
    // One more frame tells whether somebody goes on.
    if (this.#run > 0) return null
    const silent = this.#frame - this.#speechEnd
    const [atSample, speechEndSample] = [this.#frame * FRAME_SAMPLES, this.#speechEnd * FRAME_SAMPLES]
    if (silent >= framesIn(this.#patienceMs())) {
      const decidedBy = this.#answer?.probability == null ? 'silence' : 'turn_end'
      this.#floor = atSample
      this.#end()
      return { type: 'stopped', atSample, speechEndSample, decidedBy }
    }
    if (this.#isPaused || silent < framesIn(PAUSE_MS)) return null
    this.#isPaused = true
    return { type: 'paused', atSample, speechEndSample }
  }

  #patienceMs(): number {
    if (this.#detection.type === 'server_vad') return this.#detection.silenceMs
    return this.#answer ? patienceMs(this.#detection.eagerness, this.#answer.probability) : Infinity
  }

  #end(): void {
    this.#startSample = null
    this.#isPaused = false
    this.#answer = undefined
  }

  /** Where the speech frames in a row began. */
  get #runSample(): number {
    return (this.#frame - this.#run) * FRAME_SAMPLES
  }
}
