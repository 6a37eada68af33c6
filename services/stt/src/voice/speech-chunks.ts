/**
 * A recording of any length as the chunks that go to the engine: cut at pauses, packed while they fit into a window, and without
 * the silence between them. It is listened to a minute at a time, so that the first chunk is on its way before the last is known.
 */
import { FRAME_SAMPLES } from '@hearth/hearing/silero-engine'
import type { DetectVoice } from '@hearth/hearing/voice-model'
import { FRAME_SECONDS, SpeechFinder, VOICE } from './speech-finder.ts'
import type { Stretch, VoiceOptions } from './speech-finder.ts'

/** Samples at 16 kHz, from and to. */
export type Chunk = { readonly from: number; readonly to: number }

export type ChunkOptions = {
  readonly voice?: Partial<VoiceOptions>
  /** Silence that is kept before the first word and after the last. */
  readonly padSeconds?: number
  /** A longer pause begins a new chunk even where the window has room. */
  readonly maxGapSeconds: number
}

const SAMPLE_RATE_HZ = 16_000
/** What the engine takes at most. */
const WINDOW_SAMPLES = 30 * SAMPLE_RATE_HZ
const BLOCK_FRAMES = 1875 // a minute
const ROWS = 8
const LEAST_ROW_FRAMES = 250 // 8 s
/** Half a second, after which the detector does not care any more where it began. */
const WARM_FRAMES = 16
const PAD_SECONDS = 0.3
/** Heard as they are, if anybody speaks in them. */
const SHORT_SAMPLES = 4 * SAMPLE_RATE_HZ
/** A quarter of a second. */
const ENOUGH_FRAMES = 8

/** In order, without overlap; none where nobody speaks. */
export async function* speechChunks(
  samples: Int16Array,
  detect: DetectVoice,
  options: ChunkOptions,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  if (samples.length <= SHORT_SAMPLES) {
    if (await hasSpeech(samples, detect, options, signal)) yield { from: 0, to: samples.length }
    return
  }
  const finder = new SpeechFinder(options.voice)
  const packer = new Packer(samples.length, options)
  const frames = Math.ceil(samples.length / FRAME_SAMPLES)
  for (let from = 0; from < frames; from += BLOCK_FRAMES) {
    const probabilities = await listen(samples, { from, to: Math.min(frames, from + BLOCK_FRAMES) }, detect, signal)
    for (const stretch of probabilities.flatMap((row) => finder.push(row))) yield* packer.add(stretch)
  }
  for (const stretch of finder.end()) yield* packer.add(stretch)
  yield* packer.end()
}

/** As soon as there is enough of it: people wait for short recordings, and nothing is gained by cutting them. */
async function hasSpeech(
  samples: Int16Array,
  detect: DetectVoice,
  { voice }: ChunkOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const enough = { threshold: voice?.threshold ?? VOICE.threshold, frames: ENOUGH_FRAMES }
  const input = { samples: floats(samples, 0, samples.length), skipFrames: 0, enough }
  const finder = new SpeechFinder(voice)
  return [...finder.push(await detect(input, signal)), ...finder.end()].length > 0
}

/** Rows side by side: the detector takes one step after the other, and several rows in each. */
async function listen(
  samples: Int16Array,
  { from, to }: Stretch,
  detect: DetectVoice,
  signal: AbortSignal,
): Promise<Float32Array[]> {
  const perRow = Math.max(LEAST_ROW_FRAMES, Math.ceil((to - from) / ROWS))
  const rows: Promise<Float32Array>[] = []
  for (let start = from; start < to; start += perRow) {
    const warm = Math.min(WARM_FRAMES, start)
    const row = floats(samples, (start - warm) * FRAME_SAMPLES, Math.min(to, start + perRow) * FRAME_SAMPLES)
    rows.push(detect({ samples: row, skipFrames: warm }, signal))
  }
  return Promise.all(rows)
}

/** A part of 16-bit samples as floats. */
export function floats(samples: Int16Array, from: number, to: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(samples.subarray(from, to), (sample) => sample / 32_768)
}

class Packer {
  readonly #length: number
  readonly #options: ChunkOptions
  readonly #maxSeconds: number
  #chunk: Stretch | undefined
  /** Where the chunk before ended. */
  #last = 0

  constructor(length: number, options: ChunkOptions) {
    this.#length = length
    this.#options = options
    this.#maxSeconds = options.voice?.maxSeconds ?? VOICE.maxSeconds
  }

  *add(stretch: Stretch): Generator<Chunk> {
    const open = this.#chunk
    const fits =
      open !== undefined &&
      (stretch.to - open.from) * FRAME_SECONDS <= this.#maxSeconds &&
      (stretch.from - open.to) * FRAME_SECONDS <= this.#options.maxGapSeconds
    if (open && !fits) yield this.#padded(open, stretch.from * FRAME_SAMPLES)
    this.#chunk = fits ? { from: open.from, to: stretch.to } : stretch
  }

  *end(): Generator<Chunk> {
    if (this.#chunk) yield this.#padded(this.#chunk, this.#length)
  }

  #padded({ from, to }: Stretch, limit: number): Chunk {
    const room = WINDOW_SAMPLES - (to - from) * FRAME_SAMPLES
    const pad = Math.min((this.#options.padSeconds ?? PAD_SECONDS) * SAMPLE_RATE_HZ, Math.floor(room / 2))
    const chunk = {
      from: Math.max(this.#last, Math.round(from * FRAME_SAMPLES - pad)),
      to: Math.min(limit, this.#length, Math.round(to * FRAME_SAMPLES + pad)),
    }
    this.#last = chunk.to
    return chunk
  }
}
