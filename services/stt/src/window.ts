/**
 * How long a window of sound the encoder gets. Whisper's own is always 30 s; an encoder that takes less needs a quarter of
 * the time for a short clip. A clip's window depends on its own length alone, so that company in a batch changes nothing.
 */
import { HOP_SAMPLES } from '@hearth/hearing/log-mel'

export const WINDOW_FRAMES = 3000
export const WINDOW_SAMPLES = WINDOW_FRAMES * HOP_SAMPLES

/** Two frames are one position of the encoder. Few lengths, so that clips of about the same length share a batch. */
const FRAMES_PER_POSITION = 2
const LENGTHS = [178, 278, 378, 528, 778, 1500].map((positions) => positions * FRAMES_PER_POSITION)
/** 2.56 s of silence behind the clip: with less, models that were trained on 30 s begin to repeat themselves (whisper.cpp #1855). */
const MARGIN_FRAMES = 128 * FRAMES_PER_POSITION

/** Frames for so many samples. */
export function fittedFrames(samples: number): number {
  const needed = Math.ceil(samples / HOP_SAMPLES) + MARGIN_FRAMES
  return LENGTHS.find((frames) => frames >= needed) ?? WINDOW_FRAMES
}
