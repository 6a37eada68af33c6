/**
 * A recording of any length as the chunks that go to the engine: cut at pauses, packed while they fit into a window, and without
 * the silence between them. It is read and listened to a minute at a time, so that the first chunk is on its way before the last is known, and
 * that a few minutes are held of it, however long it is.
 */
import { FRAME_SAMPLES } from '@hearth/hearing/silero-engine'
import type { DetectVoice } from '@hearth/hearing/voice-model'
import { FRAME_SECONDS, SpeechFinder, VOICE } from './speech-finder.ts'
import type { Stretch, VoiceOptions } from './speech-finder.ts'
import { SoundReader } from './sound-reader.ts'
import type { Chunk, Pieces } from './sound-reader.ts'

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
  pieces: Pieces,
  detect: DetectVoice,
  options: ChunkOptions,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const sound = new SoundReader(pieces)
  try {
    if (await sound.fill(SHORT_SAMPLES + 1)) yield* longChunks(sound, detect, options, signal)
    else if (await hasSpeech(sound, detect, options, signal)) yield sound.chunk(0, sound.end)
  } finally {
    await sound.close()
  }
}

async function* longChunks(
  sound: SoundReader,
  detect: DetectVoice,
  options: ChunkOptions,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const finder = new SpeechFinder(options.voice)
  const packer = new Packer(options)
  const cut = ({ from, to }: Span) => sound.chunk(from, to)
  for (let from = 0, isMore = true; isMore; from += BLOCK_FRAMES) {
    isMore = await sound.fill((from + BLOCK_FRAMES) * FRAME_SAMPLES)
    const to = Math.min(Math.ceil(sound.end / FRAME_SAMPLES), from + BLOCK_FRAMES)
    const probabilities = await listen(sound, { from, to }, detect, signal)
    for (const stretch of probabilities.flatMap((row) => finder.push(row))) yield* packer.add(stretch).map(cut)
    if (isMore) yield* packer.settle(finder.settled).map(cut)
    sound.dropBefore(Math.min(packer.neededFrom(finder.settled), (to - WARM_FRAMES) * FRAME_SAMPLES))
  }
  for (const stretch of finder.end()) yield* packer.add(stretch).map(cut)
  yield* packer.end(sound.end).map(cut)
}

/** As soon as there is enough of it: people wait for short recordings, and nothing is gained by cutting them. */
async function hasSpeech(
  sound: SoundReader,
  detect: DetectVoice,
  { voice }: ChunkOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const enough = { threshold: voice?.threshold ?? VOICE.threshold, frames: ENOUGH_FRAMES }
  const input = { samples: sound.slice(0, sound.end), skipFrames: 0, enough }
  const finder = new SpeechFinder(voice)
  return [...finder.push(await detect(input, signal)), ...finder.end()].length > 0
}

/** Rows side by side: the detector takes one step after the other, and several rows in each. */
async function listen(
  sound: SoundReader,
  { from, to }: Stretch,
  detect: DetectVoice,
  signal: AbortSignal,
): Promise<Float32Array[]> {
  const perRow = Math.max(LEAST_ROW_FRAMES, Math.ceil((to - from) / ROWS))
  const rows: Promise<Float32Array>[] = []
  for (let start = from; start < to; start += perRow) {
    const warm = Math.min(WARM_FRAMES, start)
    const row = sound.slice((start - warm) * FRAME_SAMPLES, Math.min(to, start + perRow) * FRAME_SAMPLES)
    rows.push(detect({ samples: row, skipFrames: warm }, signal))
  }
  return Promise.all(rows)
}

/** Samples. */
type Span = { readonly from: number; readonly to: number }

class Packer {
  readonly #options: ChunkOptions
  readonly #maxSeconds: number
  readonly #padSamples: number
  #chunk: Stretch | undefined
  /** Where the chunk before ended. */
  #last = 0

  constructor(options: ChunkOptions) {
    this.#options = options
    this.#maxSeconds = options.voice?.maxSeconds ?? VOICE.maxSeconds
    this.#padSamples = (options.padSeconds ?? PAD_SECONDS) * SAMPLE_RATE_HZ
  }

  /** The chunk that it ends, if any. */
  add(stretch: Stretch): Span[] {
    const open = this.#chunk
    const fits =
      open !== undefined &&
      (stretch.to - open.from) * FRAME_SECONDS <= this.#maxSeconds &&
      !this.#isBeyond(open, stretch.from)
    this.#chunk = fits ? { from: open.from, to: stretch.to } : stretch
    return open && !fits ? this.#close(open, stretch.from * FRAME_SAMPLES) : []
  }

  /** What no stretch can join that begins at `frame` or later: of a long silence nothing is held. */
  settle(frame: number): Span[] {
    const open = this.#chunk
    const end = frame * FRAME_SAMPLES
    if (!open || !this.#isBeyond(open, frame) || open.to * FRAME_SAMPLES + this.#padSamples > end) return []
    this.#chunk = undefined
    return this.#close(open, end)
  }

  /** The first sample that a chunk may still take, when stretches to come begin at `frame` or later. */
  neededFrom(frame: number): number {
    return Math.max(this.#last, Math.floor((this.#chunk?.from ?? frame) * FRAME_SAMPLES - this.#padSamples))
  }

  /** The last one, of a recording that is so long. */
  end(length: number): Span[] {
    return this.#chunk ? this.#close(this.#chunk, length) : []
  }

  #isBeyond(open: Stretch, from: number): boolean {
    return (from - open.to) * FRAME_SECONDS > this.#options.maxGapSeconds
  }

  #close({ from, to }: Stretch, limit: number): Span[] {
    const room = WINDOW_SAMPLES - (to - from) * FRAME_SAMPLES
    const pad = Math.min(this.#padSamples, Math.floor(room / 2))
    const chunk = {
      from: Math.max(this.#last, Math.round(from * FRAME_SAMPLES - pad)),
      to: Math.min(limit, Math.round(to * FRAME_SAMPLES + pad)),
    }
    this.#last = chunk.to
    return [chunk]
  }
}
