/** Whether what a client sent is sound at all, before anybody is asked to hear it. Which kind of file it is, its bytes tell, never its name. */
import { decodeWav } from '@hearth/shared/wav'

/** Decoding whole files of many minutes would hold up the event loop; a file that begins as sound is left to the stt service. */
const LOOKED_AT_BYTES = 1_048_576

/** What files other than WAV begin with, and where: FLAC, Ogg, MP3 behind its tags, Matroska and WebM, MP4. */
const MARKS: readonly (readonly [at: number, bytes: Buffer])[] = [
  [0, Buffer.from('fLaC')],
  [0, Buffer.from('OggS')],
  [0, Buffer.from('ID3')],
  [0, Buffer.from([0x1a, 0x45, 0xdf, 0xa3])],
  [4, Buffer.from('ftyp')],
]

/** Looks into a WAV, and only at the beginning of other files, which the stt service judges. Throws what `decodeWav` throws. */
export function requireSound(file: Uint8Array): void {
  if (isMarked(file) || isFrame(file)) return
  decodeWav(file.subarray(0, LOOKED_AT_BYTES))
}

const isMarked = (file: Uint8Array): boolean =>
  MARKS.some(([at, mark]) => mark.equals(file.subarray(at, at + mark.length)))

/** MP3 and AAC without tags begin with a frame: eleven bits of ones. */
const isFrame = ([first = 0, second = 0]: Uint8Array): boolean => first === 0xff && (second & 0xe0) === 0xe0
