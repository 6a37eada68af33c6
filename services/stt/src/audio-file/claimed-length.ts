/**
 * How long a file says it is, so that one that is too long by its own word is refused before anything of it is decoded. Files lie: the
 * limits hold while they are decoded all the same.
 */
import { MP3, MP4, OGG, QTFF } from 'mediabunny'
import type { InputAudioTrack, InputFormat } from 'mediabunny'
import { oggPageTimes } from './ogg.ts'

const OPUS_GRANULES_PER_SECOND = 48_000
/** In MP4, as all ones: unknown (ISO 14496-12, 8.4.2). Less a percent, because the library adds where the sound begins. */
const UNKNOWN_TICKS = 0.99 * 0xffff_ffff

/** Seconds; null when it says nothing. Never throws: what can't be read is found when it is decoded. */
export async function claimedSeconds(
  file: Uint8Array,
  format: InputFormat,
  track: InputAudioTrack,
): Promise<number | null> {
  const rateHz = await track.getSampleRate()
  if (format === OGG) return oggSeconds(file, (await track.getCodec()) === 'opus' ? OPUS_GRANULES_PER_SECOND : rateHz)
  // Without that header the library would guess.
  if (format === MP3) return xingSeconds(Buffer.from(file.buffer, file.byteOffset, file.byteLength), rateHz)
  const seconds = await track.getDurationFromMetadata().catch(() => null)
  if (seconds === null || !Number.isFinite(seconds)) return null
  const isUnknown = (format === MP4 || format === QTFF) && seconds * (await track.getTimeResolution()) >= UNKNOWN_TICKS
  return isUnknown ? null : seconds
}

/** From the first page's time to the last one's: a recording cut out of a long stream begins late. */
function oggSeconds(file: Uint8Array, granulesPerSecond: number): number | null {
  let first: number | undefined
  let last: number | undefined
  for (const granule of oggPageTimes(file)) {
    first ??= granule
    last = granule
  }
  return first === undefined || last === undefined ? null : (last - first) / granulesPerSecond
}

const ID3_HEADER_BYTES = 10
/** The header stands behind the side information of the first frame, whose length depends on version and channels. */
const XING_WITHIN_BYTES = 48
const HAS_FRAME_COUNT = 1

/** The number of frames in the header that Xing's encoder began to write, and most do since. */
function xingSeconds(file: Buffer, rateHz: number): number | null {
  let at = 0
  while (file.toString('latin1', at, at + 3) === 'ID3' && at + ID3_HEADER_BYTES <= file.length)
    at += ID3_HEADER_BYTES + syncSafe(file, at + 6)
  const frame = file.subarray(at, at + XING_WITHIN_BYTES + 12)
  const tag = Math.max(frame.indexOf('Xing'), frame.indexOf('Info'))
  if (tag === -1 || tag + 12 > frame.length || (frame.readUInt32BE(tag + 4) & HAS_FRAME_COUNT) === 0) return null
  const isMpeg1 = ((frame[1] ?? 0) & 0x18) === 0x18
  return (frame.readUInt32BE(tag + 8) * (isMpeg1 ? 1152 : 576)) / rateHz
}

/** Four times seven bits. */
const syncSafe = (file: Buffer, at: number): number =>
  file.subarray(at, at + 4).reduce((sum, byte) => (sum << 7) | (byte & 0x7f), 0)
