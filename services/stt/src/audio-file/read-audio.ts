/**
 * The sound of a file that somebody sent, whatever it calls itself: the bytes decide. Nothing here opens another file or address, and the
 * limits hold while it is decoded, not after.
 */
import { AppError } from '@hearth/shared/errors'
import { decodeWav } from '@hearth/shared/wav'
import {
  ADTS,
  BufferSource,
  EncodedPacketSink,
  FLAC,
  Input,
  MATROSKA,
  MP3,
  MP4,
  OGG,
  QTFF,
  UnsupportedInputFormatError,
  WEBM,
} from 'mediabunny'
import type { InputAudioTrack } from 'mediabunny'
import { claimedSeconds } from './claimed-length.ts'
import { createDecoder, createVorbisDecoder } from './codecs.ts'
import type { Decoded, PacketDecoder } from './codecs.ts'
import { oggPackets } from './ogg.ts'
import { SamplesWriter } from './samples-writer.ts'
import type { AudioLimits } from './samples-writer.ts'

export type ReadAudio = {
  /** Mono at 16 kHz. */
  readonly samples: Int16Array<ArrayBuffer>
  /** Of the recording, at its own rate. */
  readonly seconds: number
  /** What was wrong with the file and could be passed over: `truncated`, `damaged`. */
  readonly warnings: readonly string[]
}

const FORMATS = [MP4, QTFF, MATROSKA, WEBM, OGG, FLAC, MP3, ADTS]
/** First bytes of the WAV family: what of it is not taken is told by the WAV reader. */
const WAV_FAMILY = new Set(['RIFF', 'RIFX', 'RF64', 'BW64', 'riff', 'FORM'])
const PACKETS_AT_ONCE = 64
const PIECE_BYTES = 16_384
const PIECE_SAMPLES = 65_536
/** More than one packet in so many that can't be decoded: that is no recording. */
const MAX_DAMAGE = 0.1

/**
 * Throws `empty_audio`, `undecodable_audio`, `unsupported_media` (also for a film without sound), `unsupported_sample_rate`,
 * `invalid_samples`, `audio_too_short`, `audio_too_long`. `onSeconds` is told how far it has come.
 */
export async function readAudio(
  bytes: Uint8Array<ArrayBuffer>,
  limits: AudioLimits,
  onSeconds: (seconds: number) => void = () => undefined,
): Promise<ReadAudio> {
  if (bytes.length === 0) throw refuse('empty_audio', 'expected an audio file, got 0 bytes')
  const writer = new SamplesWriter(limits)
  if (WAV_FAMILY.has(String.fromCharCode(...bytes.subarray(0, 4)))) {
    const { samples, sampleRateHz } = decodeWav(bytes, limits)
    // In one piece it would be held four times over while it is resampled.
    for (let at = 0; at < samples.length; at += PIECE_SAMPLES)
      writer.add([samples.subarray(at, at + PIECE_SAMPLES)], sampleRateHz, bytes.length)
    return { seconds: writer.seconds, samples: writer.end(), warnings: [] }
  }
  const warnings = await readTrack(bytes, writer, onSeconds).catch((error: unknown) => {
    throw error instanceof AppError ? error : refuse('undecodable_audio', 'the file can not be read', error)
  })
  const { seconds } = writer
  return { seconds, samples: writer.end(), warnings }
}

async function readTrack(
  bytes: Uint8Array<ArrayBuffer>,
  writer: SamplesWriter,
  onSeconds: (seconds: number) => void,
): Promise<string[]> {
  using input = new Input({ source: new BufferSource(bytes), formats: FORMATS })
  const track = await openTrack(input)
  const container = await input.getFormat()
  writer.expect(await claimedSeconds(bytes, container, track), bytes.length)
  const codec = await track.getCodec()
  const description = (await track.getDecoderConfig())?.description
  const format = {
    codec: codec ?? 'unknown',
    channelCount: await track.getNumberOfChannels(),
    sampleRateHz: await track.getSampleRate(),
    description: description ? bytesOf(description) : null,
  }
  const isOgg = container === OGG
  const isOggVorbis = isOgg && codec === 'vorbis'
  const decoder = isOggVorbis ? await createVorbisDecoder() : await createDecoderFor(format)
  const packets = isOggVorbis
    ? piecesOf(bytes)
    : isOgg && codec === 'opus'
      ? batchesOf(opusPackets(bytes))
      : batchesOf(packetsOf(track))
  try {
    return await decodeAll(packets, decoder, { writer, onSeconds, isStrict: codec === 'flac' })
  } finally {
    decoder.free()
  }
}

async function openTrack(input: Input): Promise<InputAudioTrack> {
  const track = await input.getPrimaryAudioTrack().catch((cause: unknown) => {
    const what = cause instanceof UnsupportedInputFormatError ? 'bytes of no known kind' : 'a damaged file'
    throw refuse('undecodable_audio', `expected WAV, MP3, FLAC, Ogg, WebM, MP4 or AAC, got ${what}`, cause)
  })
  if (!track) throw refuse('unsupported_media', 'expected a file with sound, got one without an audio track')
  return track
}

type Format = Parameters<typeof createDecoder>[0]

async function createDecoderFor(format: Format): Promise<PacketDecoder> {
  const decoder = await createDecoder(format).catch((cause: unknown) => {
    throw refuse('undecodable_audio', `the ${format.codec} header can not be read`, cause)
  })
  if (decoder) return decoder
  throw refuse(
    'unsupported_media',
    `expected MP3, AAC, Opus, Vorbis (in Ogg) or FLAC, got ${format.codec.slice(0, 20)}`,
  )
}

const bytesOf = (source: ArrayBufferView | ArrayBufferLike): Uint8Array =>
  ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source)

/** Some packets of a track, and how many bytes they are. */
type Batch = { readonly packets: Uint8Array[]; readonly bytes: number }

async function* batchesOf(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Batch> {
  let packets: Uint8Array[] = []
  let bytes = 0
  for await (const packet of source) {
    packets.push(packet)
    bytes += packet.length
    if (packets.length < PACKETS_AT_ONCE) continue
    yield { packets, bytes }
    packets = []
    bytes = 0
  }
  if (packets.length > 0) yield { packets, bytes }
}

async function* packetsOf(track: InputAudioTrack): AsyncGenerator<Uint8Array> {
  for await (const { data } of new EncodedPacketSink(track).packets()) yield data
}

/** Without the two that hold the header and the comments. */
function* opusPackets(bytes: Uint8Array): Generator<Uint8Array> {
  for (const packet of oggPackets(bytes))
    if (!OPUS_HEADERS.has(String.fromCharCode(...packet.subarray(0, 8)))) yield packet
}

const OPUS_HEADERS = new Set(['OpusHead', 'OpusTags'])

function* piecesOf(file: Uint8Array): Generator<Batch> {
  for (let at = 0; at < file.length; at += PIECE_BYTES) {
    const piece = file.subarray(at, at + PIECE_BYTES)
    yield { packets: [piece], bytes: piece.length }
  }
}

type Sink = {
  readonly writer: SamplesWriter
  readonly onSeconds: (seconds: number) => void
  /** Whether one damaged packet is one too many: where the codec has check sums. */
  readonly isStrict: boolean
}

/** What was wrong. A file that breaks off is heard to where it does. */
async function decodeAll(
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  decoder: PacketDecoder,
  { writer, onSeconds, isStrict }: Sink,
): Promise<string[]> {
  const seen = { bytes: 0, packets: 0, errors: 0 }
  const take = ({ channels, sampleRateHz, errors }: Decoded) => {
    seen.errors += errors
    writer.add(channels, sampleRateHz, seen.bytes)
    onSeconds(writer.seconds)
  }
  let isTruncated = false
  try {
    for await (const { packets, bytes } of batches) {
      seen.bytes += bytes
      seen.packets += packets.length
      take(await decoder.decode(packets))
    }
    if (decoder.flush) take(await decoder.flush())
  } catch (error) {
    if (error instanceof AppError) throw error
    if (writer.seconds === 0 || isStrict) throw refuse('undecodable_audio', 'the sound can not be decoded', error)
    isTruncated = true
  }
  if (seen.errors > (isStrict ? 0 : seen.packets * MAX_DAMAGE) || writer.seconds === 0)
    throw refuse('undecodable_audio', `${seen.errors} of ${seen.packets} packets can not be decoded`)
  return [...(isTruncated ? ['truncated'] : []), ...(seen.errors > 0 ? ['damaged'] : [])]
}

const refuse = (code: 'empty_audio' | 'undecodable_audio' | 'unsupported_media', message: string, cause?: unknown) =>
  new AppError(code, message, { param: 'file', cause })
