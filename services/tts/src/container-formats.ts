/**
 * Formats whose frames need a container or an encoder that Mediabunny has: Opus in Ogg (RFC 7845), AAC in ADTS, FLAC. The pages and frames leave
 * as they are full.
 */
import { registerAacEncoder } from '@mediabunny/aac-encoder'
import { registerFlacEncoder } from '@mediabunny/flac-encoder'
import {
  AdtsOutputFormat,
  AudioSample,
  AudioSampleSource,
  EncodedAudioPacketSource,
  EncodedPacket,
  FlacOutputFormat,
  OggOutputFormat,
  Output,
  StreamTarget,
} from 'mediabunny'
import type { AudioSource, OutputFormat, StreamTargetChunk } from 'mediabunny'
import OpusScript from 'opusscript'
import { slicesOf } from './pcm-slices.ts'

registerAacEncoder()
registerFlacEncoder()

const BITRATE = { aac: 64_000, opus: 48_000 }
const OPUS_FRAME_SECONDS = 0.02
/** Of samples at 48 kHz that the encoder is late by, and a player leaves out. */
const OPUS_PRE_SKIP = 312
const OGG_PAGE_SECONDS = 0.1

/** See `Encode`. */
export const encodeAac = (pcm: AsyncIterable<Uint8Array>, sampleRateHz: number) =>
  encodeSamples(new AdtsOutputFormat(), { codec: 'aac', bitrate: BITRATE.aac }, pcm, sampleRateHz)

/** See `Encode`. The header's counts stay open: they aren't known when it leaves. */
export const encodeFlac = (pcm: AsyncIterable<Uint8Array>, sampleRateHz: number) =>
  encodeSamples(new FlacOutputFormat({ appendOnly: true }), { codec: 'flac' }, pcm, sampleRateHz)

/** See `Encode`. */
export function encodeOpus(pcm: AsyncIterable<Uint8Array>, sampleRateHz: number) {
  const source = new EncodedAudioPacketSource('opus')
  const format = new OggOutputFormat({ maximumPageDuration: OGG_PAGE_SECONDS })
  return throughOutput(format, source, async () => {
    const encoder = new OpusScript(opusRate(sampleRateHz), 1, OpusScript.Application.AUDIO)
    encoder.setBitrate(BITRATE.opus)
    try {
      const frames = framesOf(withLateness(slicesOf(pcm, sampleRateHz), sampleRateHz), sampleRateHz)
      let count = 0
      for await (const { frame, seconds } of frames) {
        const bytes = encoder.encode(Buffer.from(frame), frame.length / 2)
        const packet = new EncodedPacket(bytes, 'key', count * OPUS_FRAME_SECONDS, seconds)
        await source.add(packet, count === 0 ? { decoderConfig: opusHead(sampleRateHz) } : undefined)
        count += 1
      }
    } finally {
      encoder.delete()
    }
  })
}

function opusRate(sampleRateHz: number) {
  const rate = OpusScript.VALID_SAMPLING_RATES.find((known) => known === sampleRateHz)
  if (rate === undefined) throw new Error(`expected a rate that Opus knows, got ${sampleRateHz} Hz: this is a bug`)
  return rate
}

/** The identification header (RFC 7845, section 5.1). */
function opusHead(sampleRateHz: number) {
  const description = Buffer.alloc(19)
  description.write('OpusHead', 'latin1')
  description.writeUInt8(1, 8)
  description.writeUInt8(1, 9)
  description.writeUInt16LE(OPUS_PRE_SKIP, 10)
  description.writeUInt32LE(sampleRateHz, 12)
  return { codec: 'opus', numberOfChannels: 1, sampleRate: 48_000, description }
}

/** As much silence behind the sound as the encoder is late by, or its end would be cut off. */
async function* withLateness(slices: AsyncIterable<Uint8Array>, sampleRateHz: number) {
  yield* slices
  yield new Uint8Array(2 * Math.round((OPUS_PRE_SKIP * sampleRateHz) / 48_000))
}

/** Frames of 20 ms of s16le samples, the last one filled with silence, each with the seconds of it that are to be played. */
async function* framesOf(slices: AsyncIterable<Uint8Array>, sampleRateHz: number) {
  const frameBytes = 2 * Math.round(OPUS_FRAME_SECONDS * sampleRateHz)
  let rest = Buffer.alloc(0)
  for await (const slice of slices) {
    const bytes = Buffer.concat([rest, slice])
    const whole = bytes.length - (bytes.length % frameBytes)
    for (let from = 0; from < whole; from += frameBytes)
      yield { frame: bytes.subarray(from, from + frameBytes), seconds: OPUS_FRAME_SECONDS }
    rest = bytes.subarray(whole)
  }
  if (rest.length === 0) return
  const seconds = (rest.length / frameBytes) * OPUS_FRAME_SECONDS
  yield { frame: Buffer.concat([rest, Buffer.alloc(frameBytes - rest.length)]), seconds }
}

function encodeSamples(
  format: OutputFormat,
  encoding: ConstructorParameters<typeof AudioSampleSource>[0],
  pcm: AsyncIterable<Uint8Array>,
  sampleRateHz: number,
) {
  const source = new AudioSampleSource(encoding)
  return throughOutput(format, source, async () => {
    let samplesSoFar = 0
    for await (const slice of slicesOf(pcm, sampleRateHz)) {
      const timestamp = samplesSoFar / sampleRateHz
      const layout = { format: 's16', numberOfChannels: 1, sampleRate: sampleRateHz } as const
      const sample = new AudioSample({ data: slice, ...layout, timestamp })
      await source.add(sample).finally(() => sample.close())
      samplesSoFar += slice.length / 2
    }
  })
}

/** The bytes of a file while `feed` gives its sound to `source`. Throws what `feed` or the encoder throws; a reader that leaves ends both. */
async function* throughOutput(
  format: OutputFormat,
  source: AudioSource,
  feed: () => Promise<void>,
): AsyncGenerator<Uint8Array, void, void> {
  let fail: (error: unknown) => void = () => {}
  const { readable, writable } = new TransformStream<StreamTargetChunk, Uint8Array>({
    start: (controller) => void (fail = (error) => controller.error(error)),
    transform: ({ data }, controller) => controller.enqueue(data),
  })
  const output = new Output({ format, target: new StreamTarget(writable) })
  output.addAudioTrack(source)
  const fed = (async () => {
    await output.start()
    await feed()
    await output.finalize()
  })()
  // It also closes the stream, which may be closed already: then there is nothing left to end.
  const cancel = async (): Promise<void> => output.cancel().catch(() => {})
  fed.catch(async (error: unknown) => {
    fail(error)
    await cancel()
  })
  try {
    yield* readable
  } finally {
    if (output.state !== 'finalized') await cancel()
  }
}
