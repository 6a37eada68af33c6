/** PCM in slices of half a second, with a breath between: encoders work on the thread that also answers requests. */
import { setImmediate } from 'node:timers/promises'

/** Costs an encoder 2 to 5 ms. */
const SLICE_SECONDS = 0.5

/** The same bytes, s16le mono, never half a sample in a slice. */
export async function* slicesOf(
  pcm: AsyncIterable<Uint8Array>,
  sampleRateHz: number,
): AsyncGenerator<Uint8Array, void, void> {
  const sliceBytes = 2 * Math.round(SLICE_SECONDS * sampleRateHz)
  for await (const piece of pcm) {
    for (let from = 0; from < piece.length; from += sliceBytes) {
      if (from > 0) await setImmediate()
      yield piece.subarray(from, from + sliceBytes)
    }
  }
}
