/**
 * Packets of each codec to samples. The decoders are WebAssembly or JavaScript: what a hostile file can reach is their own memory, inside
 * a thread that ends with its file if it must.
 */
import { decoder as createAacDecoder } from '@audio/decode-aac'
import { FLACDecoder } from '@wasm-audio-decoders/flac'
import { OggVorbisDecoder } from '@wasm-audio-decoders/ogg-vorbis'
import { MPEGDecoder } from 'mpg123-decoder'
import { OpusDecoder } from 'opus-decoder'

export type Decoded = {
  readonly channels: readonly Float32Array[]
  readonly sampleRateHz: number
  readonly errors: number
}

export interface PacketDecoder {
  /** May give fewer samples than the packets hold, and the rest with the next ones. */
  decode(packets: Uint8Array[]): Promise<Decoded> | Decoded
  flush?(): Promise<Decoded>
  free(): void
}

export type TrackFormat = {
  readonly codec: string
  readonly channelCount: number
  readonly sampleRateHz: number
  /** The codec's own header, as containers keep it. */
  readonly description: Uint8Array | null
}

/** What the engine hears: decoded at this rate from the start, a packet costs a third. */
const OPUS_RATE_HZ = 16_000
/** The longest Opus packet, at the rate it is decoded at. */
const OPUS_PACKET_SECONDS = 0.12
/** HE-AAC's frame; those of MP3 and AAC are shorter. */
const FRAME_SAMPLES = 2048
const FLAC_MAX_BLOCK = 65_536
/** By the frame header's code, where the code alone tells (RFC 9639, 9.1.1). */
const FLAC_BLOCKS = new Map([
  [1, 192],
  ...[2, 3, 4, 5].map((code) => [code, 576 << (code - 2)] as const),
  ...[8, 9, 10, 11, 12, 13, 14, 15].map((code) => [code, 256 << (code - 8)] as const),
])

/** The most samples, of all channels together, that a packet can hold. */
export function mostValues({ codec, channelCount }: TrackFormat, packet: Uint8Array): number {
  if (codec === 'opus') return OPUS_PACKET_SECONDS * OPUS_RATE_HZ * channelCount
  if (codec !== 'flac') return FRAME_SAMPLES * channelCount
  return (FLAC_BLOCKS.get((packet[2] ?? 0) >> 4) ?? FLAC_MAX_BLOCK) * channelCount
}

/** Null when there is no decoder for the codec. */
export async function createDecoder(format: TrackFormat): Promise<PacketDecoder | null> {
  switch (format.codec) {
    case 'opus':
      return opus(format)
    case 'mp3':
      return ready(new MPEGDecoder())
    case 'flac':
      return ready(new FLACDecoder())
    case 'aac':
      return aac(format)
    default:
      return null
  }
}

type Result = { channelData: Float32Array[]; sampleRate: number; errors?: unknown[] }
type FrameDecoder = { ready: Promise<void>; decodeFrames(frames: Uint8Array[]): Result | Promise<Result>; free(): void }

const decodedOf = ({ channelData, sampleRate, errors = [] }: Result): Decoded => ({
  channels: channelData,
  sampleRateHz: sampleRate,
  errors: errors.length,
})

async function ready(decoder: FrameDecoder): Promise<PacketDecoder> {
  await decoder.ready
  return {
    decode: async (packets) => decodedOf(await decoder.decodeFrames(packets)),
    free: () => decoder.free(),
  }
}

/** RFC 7845: the header tells which of up to 255 channels are coupled; without that (family 0) one or two. */
async function opus({ channelCount, description }: TrackFormat): Promise<PacketDecoder> {
  const family = description?.[18] ?? 0
  if (!description || family === 0) return ready(new OpusDecoder({ channels: channelCount, sampleRate: OPUS_RATE_HZ }))
  return ready(
    new OpusDecoder({
      channels: channelCount,
      sampleRate: OPUS_RATE_HZ,
      streamCount: description[19] ?? 1,
      coupledStreamCount: description[20] ?? 0,
      channelMappingTable: [...description.subarray(21, 21 + channelCount)],
    }),
  )
}

const RATES_HZ = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350]

/** Without a header (ADTS) one is made: AAC-LC of that rate and channels (ISO 14496-3, AudioSpecificConfig). */
async function aac({ description, sampleRateHz, channelCount }: TrackFormat): Promise<PacketDecoder> {
  const rate = RATES_HZ.indexOf(sampleRateHz)
  const asc = description ?? Uint8Array.of((2 << 3) | (rate >> 1), ((rate & 1) << 7) | (channelCount << 3))
  const decoder = await createAacDecoder({ asc })
  return {
    decode: (packets) => decodedOf(decoder.decode(description ? packets : packets.map(withoutAdtsHeader))),
    free: () => decoder.free(),
  }
}

/** Seven bytes, or nine where a check sum follows. */
const withoutAdtsHeader = (frame: Uint8Array): Uint8Array => frame.subarray(((frame[1] ?? 0) & 1) === 1 ? 7 : 9)

/** Vorbis keeps its tables in three packets of their own, which only its Ogg decoder takes: it is fed pieces of the file. */
export async function createVorbisDecoder(): Promise<PacketDecoder> {
  const decoder = new OggVorbisDecoder()
  await decoder.ready
  return {
    decode: async ([piece = new Uint8Array(0)]) => decodedOf(await decoder.decode(piece)),
    flush: async () => decodedOf(await decoder.flush()),
    free: () => decoder.free(),
  }
}
