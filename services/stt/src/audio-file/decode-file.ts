/**
 * The sound of a file as its decoder gives it, piece by piece, whatever the file calls itself: the bytes decide. Nothing here opens another
 * file or address. What is held is the file and one piece, however long the sound is: the next is decoded when it is asked for.
 */
import { AppError } from '@hearth/shared/errors'
import { openWav } from '@hearth/shared/wav'
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
import { createDecoder, createVorbisDecoder, mostValues } from './codecs.ts'
import type { Decoded, PacketDecoder, TrackFormat } from './codecs.ts'
import { oggPackets } from './ogg.ts'
import type { RecordingLength } from './recording-length.ts'

const FORMATS = [MP4, QTFF, MATROSKA, WEBM, OGG, FLAC, MP3, ADTS]
/** First bytes of the WAV family: what of it is not taken is told by the WAV reader. */
const WAV_FAMILY = new Set(['RIFF', 'RIFX', 'RF64', 'BW64', 'riff', 'FORM'])
const PACKETS_AT_ONCE = 64
/** Samples of all channels: 8 MB, and twice that while they are handed over. */
const VALUES_AT_ONCE = 2_097_152
/** Of a Vorbis file, where a packet of silence is a byte and a quarter of a second. */
const PIECE_BYTES = 2048
const WAV_PIECE_SAMPLES = 65_536
/** More than one packet in so many that can't be decoded: that is no recording. */
const MAX_DAMAGE = 0.1

export type SoundPiece = Pick<Decoded, 'channels' | 'sampleRateHz'>
type Sound = AsyncGenerator<SoundPiece, string[]>

/**
 * The pieces, and at the end what was wrong with the file and could be passed over: `truncated`, `damaged`. All that is given was counted in
 * `length`. Throws `empty_audio`, `undecodable_audio`, `unsupported_media` (also for a film without sound), `unsupported_sample_rate`,
 * `invalid_samples`, `audio_too_short`, `audio_too_long`.
 */
export async function* decodeFile(bytes: Uint8Array<ArrayBuffer>, length: RecordingLength): Sound {
  if (bytes.length === 0) throw refuse('empty_audio', 'expected an audio file, got 0 bytes')
  const isWav = WAV_FAMILY.has(String.fromCharCode(...bytes.subarray(0, 4)))
  try {
    const warnings = yield* isWav ? wavPieces(bytes, length) : trackPieces(bytes, length)
    length.end()
    return warnings
  } catch (error) {
    throw error instanceof AppError ? error : refuse('undecodable_audio', 'the file can not be read', error)
  }
}

async function* wavPieces(bytes: Uint8Array<ArrayBuffer>, length: RecordingLength): Sound {
  const { frameCount, sampleRateHz, read } = openWav(bytes)
  length.expect(frameCount / sampleRateHz, bytes.length)
  for (let from = 0; from < frameCount; from += WAV_PIECE_SAMPLES) {
    const channels = read(from, Math.min(frameCount, from + WAV_PIECE_SAMPLES))
    length.add(channels[0]?.length ?? 0, sampleRateHz, bytes.length)
    yield { channels, sampleRateHz }
  }
  return []
}

async function* trackPieces(bytes: Uint8Array<ArrayBuffer>, length: RecordingLength): Sound {
  using input = new Input({ source: new BufferSource(bytes), formats: FORMATS })
  const track = await openTrack(input)
  const container = await input.getFormat()
  length.expect(await claimedSeconds(bytes, container, track), bytes.length)
  const format = await formatOf(track)
  const isOgg = container === OGG
  const isOggVorbis = isOgg && format.codec === 'vorbis'
  const decoder = isOggVorbis ? await createVorbisDecoder() : await createDecoderFor(format)
  const packets = isOgg && format.codec === 'opus' ? opusPackets(bytes) : packetsOf(track)
  const batches = isOggVorbis ? piecesOf(bytes) : batchesOf(packets, format)
  try {
    return yield* decodeAll(batches, decoder, { length, isStrict: format.codec === 'flac' })
  } finally {
    decoder.free()
  }
}

async function formatOf(track: InputAudioTrack): Promise<TrackFormat> {
  const description = (await track.getDecoderConfig())?.description
  return {
    codec: (await track.getCodec()) ?? 'unknown',
    channelCount: await track.getNumberOfChannels(),
    sampleRateHz: await track.getSampleRate(),
    description: description ? bytesOf(description) : null,
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

async function createDecoderFor(format: TrackFormat): Promise<PacketDecoder> {
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

/** As many as one call decodes: few where each may hold much. */
async function* batchesOf(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  format: TrackFormat,
): AsyncGenerator<Batch> {
  let packets: Uint8Array[] = []
  let bytes = 0
  let values = 0
  for await (const packet of source) {
    packets.push(packet)
    bytes += packet.length
    values += mostValues(format, packet)
    if (packets.length < PACKETS_AT_ONCE && values < VALUES_AT_ONCE) continue
    yield { packets, bytes }
    packets = []
    bytes = 0
    values = 0
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

type Rules = {
  readonly length: RecordingLength
  /** Whether one damaged packet is one too many: where the codec has check sums. */
  readonly isStrict: boolean
}

/** A file that breaks off is heard to where it does. */
async function* decodeAll(
  batches: AsyncIterable<Batch> | Iterable<Batch>,
  decoder: PacketDecoder,
  { length, isStrict }: Rules,
): Sound {
  const seen = { bytes: 0, packets: 0, errors: 0 }
  const count = (decoded: Decoded) => {
    seen.errors += decoded.errors
    length.add(decoded.channels[0]?.length ?? 0, decoded.sampleRateHz, seen.bytes)
    return decoded
  }
  let isTruncated = false
  try {
    for await (const { packets, bytes } of batches) {
      seen.bytes += bytes
      seen.packets += packets.length
      yield count(await decoder.decode(packets))
    }
    if (decoder.flush) yield count(await decoder.flush())
  } catch (error) {
    if (error instanceof AppError) throw error
    if (length.seconds === 0 || isStrict) throw refuse('undecodable_audio', 'the sound can not be decoded', error)
    isTruncated = true
  }
  if (seen.errors > (isStrict ? 0 : seen.packets * MAX_DAMAGE) || length.seconds === 0)
    throw refuse('undecodable_audio', `${seen.errors} of ${seen.packets} packets can not be decoded`)
  return [...(isTruncated ? ['truncated'] : []), ...(seen.errors > 0 ? ['damaged'] : [])]
}

const refuse = (code: 'empty_audio' | 'undecodable_audio' | 'unsupported_media', message: string, cause?: unknown) =>
  new AppError(code, message, { param: 'file', cause })
