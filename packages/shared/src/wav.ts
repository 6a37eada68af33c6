/**
 * WAV at the border: any PCM or float file people send in, PCM16 out (RIFF/WAVE; Microsoft's WAVEFORMATEXTENSIBLE). Sizes in headers are hints:
 * what counts is which bytes are there.
 */
import { type Audio, mixToMono, pcm16 } from './audio.ts'
import { AppError } from './errors.ts'

export type WavLimits = { minSeconds?: number; maxSeconds?: number }

type Format = { encoding: 'int' | 'float'; channels: number; sampleRateHz: number; bits: number }

const [PCM, FLOAT, EXTENSIBLE] = [1, 3, 0xfffe]
const RATES_HZ = { min: 4000, max: 384_000 }
const MAX_CHANNELS = 64
const MAX_CHUNKS = 1000

/**
 * Decodes to mono. Several channels become their mean, or the loudest one where the mean would cancel.
 * Throws `empty_audio` (no bytes), `undecodable_audio`, `unsupported_media` (a format we name), `unsupported_sample_rate`, `audio_too_short`
 * (below `minSeconds`, default 0.1), `audio_too_long`, `invalid_samples` (NaN, infinite).
 */
export function decodeWav(bytes: Uint8Array, { minSeconds = 0.1, maxSeconds = Infinity }: WavLimits = {}): Audio {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  requireWave(bytes)
  const { format, data } = findChunks(view)
  const frameBytes = (format.channels * format.bits) / 8
  const frames = Math.floor(data.byteLength / frameBytes)
  const seconds = frames / format.sampleRateHz
  if (frames === 0 || seconds < minSeconds)
    throw new AppError('audio_too_short', `expected at least ${minSeconds} s of audio, got ${seconds.toFixed(3)} s`, {
      param: 'file',
    })
  if (seconds > maxSeconds)
    throw new AppError('audio_too_long', `expected at most ${maxSeconds} s of audio, got ${seconds.toFixed(1)} s`, {
      param: 'file',
    })
  const channels = Array.from({ length: format.channels }, (_, channel) => readChannel(data, format, channel, frames))
  if (channels.some((samples) => samples.some((sample) => !Number.isFinite(sample))))
    throw new AppError('invalid_samples', 'the audio holds NaN or infinite samples', { param: 'file' })
  return { samples: mixToMono(channels), sampleRateHz: format.sampleRateHz }
}

/** A whole PCM16 WAV file. */
export function encodeWav({ samples, sampleRateHz }: Audio): Uint8Array<ArrayBuffer> {
  const header = wavHeader({ sampleRateHz, sampleCount: samples.length })
  const file = new Uint8Array(header.length + 2 * samples.length)
  file.set(header)
  file.set(pcm16(samples), header.length)
  return file
}

/** The 44 bytes before mono PCM16. `stream` writes the largest sizes, which players take as "until the end". */
export function wavHeader({
  sampleRateHz,
  sampleCount,
}: {
  sampleRateHz: number
  sampleCount: number | 'stream'
}): Uint8Array {
  const dataBytes = sampleCount === 'stream' ? 0xffffffff : 2 * sampleCount
  const view = new DataView(new ArrayBuffer(44))
  const text = (at: number, value: string) => [...value].forEach((char, i) => view.setUint8(at + i, char.charCodeAt(0)))
  text(0, 'RIFF')
  view.setUint32(4, Math.min(0xffffffff, dataBytes + 36), true)
  text(8, 'WAVEfmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, PCM, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, sampleRateHz, true)
  view.setUint32(28, 2 * sampleRateHz, true)
  view.setUint16(32, 2, true)
  view.setUint16(34, 16, true)
  text(36, 'data')
  view.setUint32(40, dataBytes, true)
  return new Uint8Array(view.buffer)
}

const broken = (what: string) =>
  new AppError('undecodable_audio', `expected a WAV file, got ${what}`, { param: 'file' })
const unsupported = (what: string) =>
  new AppError('unsupported_media', `expected WAV with PCM or float samples, got ${what}`, { param: 'file' })

const ascii = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to))

function requireWave(bytes: Uint8Array): void {
  if (bytes.length === 0) throw new AppError('empty_audio', 'the file is empty', { param: 'file' })
  const magic = ascii(bytes, 0, 4)
  if (magic === 'RF64' || magic === 'RIFX' || magic === 'FORM') throw unsupported(magic)
  if (magic !== 'RIFF' || ascii(bytes, 8, 12) !== 'WAVE') throw broken('something else')
}

/** Walks the chunks: `fmt ` must come before `data`; a length past the end, 0 or all ones means "what is there". */
function findChunks(view: DataView): { format: Format; data: DataView } {
  let format: Format | undefined
  let at = 12
  for (let count = 0; count < MAX_CHUNKS && at + 8 <= view.byteLength; count++) {
    const id = view.getUint32(at)
    const length = view.getUint32(at + 4, true)
    const here = view.byteLength - at - 8
    if (id === FMT) format = readFormat(view, at + 8, Math.min(length, here))
    if (id === DATA) {
      if (!format) throw broken('no format before the data')
      const isStream = length === 0 || length > here
      return { format, data: new DataView(view.buffer, view.byteOffset + at + 8, isStream ? here : length) }
    }
    at += 8 + length + (length % 2)
  }
  throw broken(format ? 'no data' : 'no format')
}

const [FMT, DATA] = [0x666d7420, 0x64617461]

function readFormat(view: DataView, at: number, length: number): Format {
  if (length < 16) throw broken('a format of too few bytes')
  const tag = view.getUint16(at, true)
  const kind = tag === EXTENSIBLE && length >= 26 ? view.getUint16(at + 24, true) : tag
  const channels = view.getUint16(at + 2, true)
  const sampleRateHz = view.getUint32(at + 4, true)
  const bits = view.getUint16(at + 14, true)
  if (kind !== PCM && kind !== FLOAT) throw unsupported(`format ${kind}`)
  if (channels < 1 || channels > MAX_CHANNELS) throw broken(`${channels} channels`)
  if (sampleRateHz < RATES_HZ.min || sampleRateHz > RATES_HZ.max)
    throw new AppError(
      'unsupported_sample_rate',
      `expected ${RATES_HZ.min} to ${RATES_HZ.max} Hz, got ${sampleRateHz}`,
      { param: 'file' },
    )
  const widths = kind === PCM ? [8, 16, 24, 32] : [32, 64]
  if (!widths.includes(bits)) throw broken(`${bits} bits per sample`)
  if (view.getUint16(at + 12, true) !== (channels * bits) / 8)
    throw broken('a block size that does not fit its samples')
  return { encoding: kind === PCM ? 'int' : 'float', channels, sampleRateHz, bits }
}

/** Reads sample `at` (a byte offset) as a number in [-1, 1]. */
const READERS: Readonly<Record<string, (data: DataView, at: number) => number>> = {
  int8: (data, at) => (data.getUint8(at) - 128) / 128,
  int16: (data, at) => data.getInt16(at, true) / 32_768,
  int24: (data, at) => (data.getUint16(at, true) + data.getInt8(at + 2) * 65_536) / 8_388_608,
  int32: (data, at) => data.getInt32(at, true) / 2_147_483_648,
  float32: (data, at) => data.getFloat32(at, true),
  float64: (data, at) => data.getFloat64(at, true),
}

function readChannel(
  data: DataView,
  { encoding, bits, channels }: Format,
  channel: number,
  frames: number,
): Float32Array {
  const read = READERS[`${encoding}${bits}`]
  if (!read) throw new AppError('internal_error', `this is a bug: no reader for ${encoding}${bits}`)
  const [width, frame] = [bits / 8, (channels * bits) / 8]
  const samples = new Float32Array(frames)
  for (let at = 0; at < frames; at++) samples[at] = read(data, at * frame + channel * width)
  return samples
}
