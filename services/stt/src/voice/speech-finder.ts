/**
 * From the probabilities of frames to the stretches in which somebody speaks. Speech begins at once and ends only after a pause, so that a
 * word's quiet middle does not cut it; what is longer than a window is cut where it is least like speech.
 */
import { FRAME_SAMPLES } from '@hearth/hearing/silero-engine'

export const FRAME_SECONDS = FRAME_SAMPLES / 16_000

/** Frames, from the one where it begins to the one after its last. */
export type Stretch = { readonly from: number; readonly to: number }

export type VoiceOptions = {
  /** From this probability on a frame is speech. */
  readonly threshold: number
  /** A pause this long ends a stretch. */
  readonly pauseSeconds: number
  /** What is shorter is a click. */
  readonly minSeconds: number
  readonly maxSeconds: number
}

export const VOICE: VoiceOptions = { threshold: 0.5, pauseSeconds: 0.3, minSeconds: 0.09, maxSeconds: 29 }

/** Speech goes on until the probability is this much below the threshold. */
const HYSTERESIS = 0.15
/** The part of a window, at its end, in which it may be cut. */
const CUT_SECONDS = 8

const framesIn = (seconds: number): number => Math.max(1, Math.ceil(seconds / FRAME_SECONDS - 1e-9))

export class SpeechFinder {
  readonly #options: VoiceOptions
  #frame = 0
  /** Where the open stretch began. */
  #from: number | undefined
  /** The frame after the last that was speech. */
  #to = 0
  /** Probabilities since then. */
  #open: number[] = []

  constructor(options: Partial<VoiceOptions> = {}) {
    this.#options = { ...VOICE, ...options }
  }

  /** The stretch that has begun and not ended, if it is long enough to be one. */
  get open(): Stretch | null {
    const isSpeech = this.#from !== undefined && this.#to - this.#from >= framesIn(this.#options.minSeconds)
    return isSpeech ? { from: this.#from ?? 0, to: this.#to } : null
  }

  /** Frames heard so far. */
  get frames(): number {
    return this.#frame
  }

  /** The frame at which the next stretch begins at the earliest. */
  get settled(): number {
    return this.#from ?? this.#frame
  }

  /** The stretches that ended within these frames. */
  push(probabilities: ArrayLike<number>): Stretch[] {
    return Array.from(probabilities).flatMap((probability) => this.#next(probability))
  }

  /** The one that was still open. */
  end(): Stretch[] {
    return this.#close()
  }

  #next(probability: number): Stretch[] {
    const { threshold, pauseSeconds, maxSeconds } = this.#options
    const at = this.#frame++
    const isSpeech = probability >= (this.#from === undefined ? threshold : threshold - HYSTERESIS)
    if (isSpeech) {
      this.#from ??= at
      this.#to = at + 1
    }
    if (this.#from === undefined) return []
    this.#open.push(probability)
    if (this.#frame - this.#to >= framesIn(pauseSeconds)) return this.#close()
    return this.#frame - this.#from >= Math.floor(maxSeconds / FRAME_SECONDS) ? this.#cut() : []
  }

  #close(): Stretch[] {
    const { open } = this
    this.#from = undefined
    this.#open = []
    return open ? [open] : []
  }

  /** At the frame of the last seconds that is least like speech; the rest goes on as a stretch of its own. */
  #cut(): Stretch[] {
    const from = this.#from ?? 0
    const first = Math.max(1, this.#open.length - framesIn(CUT_SECONDS))
    let least = first
    for (let at = first; at < this.#open.length; at++) if ((this.#open[at] ?? 1) <= (this.#open[least] ?? 1)) least = at
    this.#from = from + least
    this.#open = this.#open.slice(least)
    this.#to = Math.max(this.#to, this.#from + 1)
    return [{ from, to: from + least }]
  }
}
