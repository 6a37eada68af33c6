/** The chunks of a recording that is to be heard whole, silence and all: cut where it is quiet, and nothing left out. */
import { SoundReader } from './sound-reader.ts'
import type { Chunk, Pieces } from './sound-reader.ts'

const SAMPLE_RATE_HZ = 16_000
const WINDOW_SAMPLES = 30 * SAMPLE_RATE_HZ
/** A cut is looked for in the last part of each window, as the middle of its quietest fifth of a second. */
const SEARCH_SAMPLES = 5 * SAMPLE_RATE_HZ
const BLOCK_SAMPLES = 320
const BLOCKS_PER_QUIET = 10

/** Chunks of at most 30 s that together are the recording. */
export async function* fixedChunks(pieces: Pieces): AsyncGenerator<Chunk> {
  const sound = new SoundReader(pieces)
  try {
    let from = 0
    while (await sound.fill(from + WINDOW_SAMPLES + 1)) {
      const searchFrom = from + WINDOW_SAMPLES - SEARCH_SAMPLES
      const to = searchFrom + quietest(sound.slice(searchFrom, from + WINDOW_SAMPLES))
      yield sound.chunk(from, to)
      from = to
      sound.dropBefore(from)
    }
    yield sound.chunk(from, sound.end)
  } finally {
    await sound.close()
  }
}

/** The middle of the quietest stretch, in samples. */
function quietest(samples: Float32Array): number {
  const energies = Array.from({ length: Math.floor(samples.length / BLOCK_SAMPLES) }, (_, at) =>
    samples.subarray(at * BLOCK_SAMPLES, (at + 1) * BLOCK_SAMPLES).reduce((sum, x) => sum + x * x, 0),
  )
  let best = 0
  let least = Infinity
  for (let at = 0; at + BLOCKS_PER_QUIET <= energies.length; at++) {
    const energy = energies.slice(at, at + BLOCKS_PER_QUIET).reduce((sum, x) => sum + x, 0)
    if (energy >= least) continue
    least = energy
    best = at
  }
  return (best + BLOCKS_PER_QUIET / 2) * BLOCK_SAMPLES
}
