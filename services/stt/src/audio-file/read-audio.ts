/**
 * A file's sound as the engine takes it, in two ways: all of it is decoded once, so that what is wrong with it is known before any of it is
 * heard; of a long one nothing is kept meanwhile, and it is decoded again while it is heard.
 */
import { decodeFile } from './decode-file.ts'
import { EngineSamples } from './engine-samples.ts'
import { RecordingLength } from './recording-length.ts'
import type { AudioLimits } from './recording-length.ts'

/** Mono at 16 kHz, about ten seconds; the next goes on where it ends. */
export type Piece = Int16Array<ArrayBuffer>

export type CheckedAudio = {
  /** Of the recording, at its own rate. */
  readonly seconds: number
  /** What was wrong with the file and could be passed over: `truncated`, `damaged`. */
  readonly warnings: readonly string[]
  /** Null of a long recording: `streamAudio` gives it. */
  readonly pieces: Piece[] | null
}

/** Longer recordings are decoded while they are heard: so much is 19 MB of samples. */
export const HELD_SECONDS = 600

/** Throws what `decodeFile` throws. `onSeconds` is told how far it has come. */
export async function readAudio(
  bytes: Uint8Array<ArrayBuffer>,
  limits: AudioLimits,
  onSeconds: (seconds: number) => void = () => undefined,
): Promise<CheckedAudio> {
  const length = new RecordingLength(limits)
  const sound = decodeFile(bytes, length)
  const samples = new EngineSamples()
  let pieces: Piece[] | null = []
  for (;;) {
    const { done, value } = await sound.next()
    if (length.seconds > HELD_SECONDS) pieces = null
    if (done) {
      pieces?.push(...some(samples.end()))
      return { seconds: length.seconds, warnings: value, pieces }
    }
    pieces?.push(...some(samples.add(value.channels, value.sampleRateHz)))
    onSeconds(length.seconds)
  }
}

/** The samples of a file that was read before, each piece decoded when it is asked for. */
export async function* streamAudio(bytes: Uint8Array<ArrayBuffer>, limits: AudioLimits): AsyncGenerator<Piece> {
  const samples = new EngineSamples()
  for await (const { channels, sampleRateHz } of decodeFile(bytes, new RecordingLength(limits)))
    yield* some(samples.add(channels, sampleRateHz))
  yield* some(samples.end())
}

const some = <T>(value: T | null): T[] => (value === null ? [] : [value])
