/** Recordings longer than one window, cut where it is quiet: nothing is dropped, and words are seldom cut in two. */

export type CutOptions = { readonly sampleRateHz: number; readonly maxSeconds: number }

/** A cut is looked for in the last part of each window, as the middle of its quietest fifth of a second. */
const SEARCH_SECONDS = 5
const QUIET_SECONDS = 0.2
const BLOCKS_PER_QUIET = 10

/** Pieces of at most `maxSeconds` that together are `samples`; one piece when that is short enough. */
export function cutAtPauses(samples: Float32Array, { sampleRateHz, maxSeconds }: CutOptions): Float32Array[] {
  const longest = maxSeconds * sampleRateHz
  if (samples.length <= longest) return [samples]
  const pieces: Float32Array[] = []
  let from = 0
  while (samples.length - from > longest) {
    const searchFrom = from + longest - SEARCH_SECONDS * sampleRateHz
    const cut = searchFrom + quietest(samples.subarray(searchFrom, from + longest), sampleRateHz)
    pieces.push(samples.slice(from, cut))
    from = cut
  }
  pieces.push(samples.slice(from))
  return pieces
}

/** The middle of the quietest stretch, in samples. */
function quietest(samples: Float32Array, sampleRateHz: number): number {
  const block = Math.round((QUIET_SECONDS * sampleRateHz) / BLOCKS_PER_QUIET)
  const energies = Array.from({ length: Math.floor(samples.length / block) }, (_, at) =>
    samples.subarray(at * block, (at + 1) * block).reduce((sum, x) => sum + x * x, 0),
  )
  let best = 0
  let least = Infinity
  for (let at = 0; at + BLOCKS_PER_QUIET <= energies.length; at++) {
    const energy = energies.slice(at, at + BLOCKS_PER_QUIET).reduce((sum, x) => sum + x, 0)
    if (energy >= least) continue
    least = energy
    best = at
  }
  return (best + BLOCKS_PER_QUIET / 2) * block
}
