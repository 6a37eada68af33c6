/**
 * WAV bytes to mono samples and back. A file's bytes are believed, its sizes are not: what is present counts, and nothing
 * is allocated for what a header only claims. Follows Microsoft's RIFF WAVE and WAVE_FORMAT_EXTENSIBLE.
 */
import { checkSampleRate, mixToMono, pcm16 } from './audio.ts'
import type { Audio } from './audio.ts'
import { AppError } from './errors.ts'
import type { ErrorCode } from './errors.ts'

export type WavLimits = { readonly minSeconds?: number; readonly maxSeconds?: number }

type Encoding = 'int' | 'float'
type Format = {
  readonly encoding: Encoding
  readonly channelCount: number
  readonly sampleRateHz: number
  readonly bitsPerSample: number
}

const HEADER_BYTES = 44
const UNKNOWN_SIZE = 0xff_ff_ff_ff
/** The format that says the real one is in the first two bytes of its subformat. */
const EXTENSIBLE = 0xff_fe
const MAX_CHANNELS = 64
const MAX_CHUNKS = 1000
/** Float samples may pass full scale a little and are clipped; beyond this (24 dB) they are no samples in [-1, 1]. */
const MAX_PEAK = 16

/** First bytes of sounds that are no WAV of this kind: the caller learns what came. */
const OTHER_CONTAINERS: Readonly<Record<string, string>> = {
  RIFX: 'RIFX (big-endian WAV)',
  RF64: 'RF64',
  BW64: 'BW64',
  riff: 'Wave64',
  FORM: 'AIFF',
  fLaC: 'FLAC',
  OggS: 'Ogg',
}

const refuse = (code: ErrorCode, message: string): AppError => new AppError(code, message, { param: 'file' })
const undecodable = (message: string): AppError => refuse('undecodable_audio', message)
const unsupported = (got: string): AppError =>
  refuse('unsupported_media', `expected WAV with PCM or float samples, got ${got}`)

/**
 * The sound of a WAV file: PCM of 8, 16, 24, 32 bits or float of 32, 64, up to 64 channels (see mixToMono for how they become
 * one). Default limits: at least 0.1 s, no upper limit. Throws `empty_audio`, `undecodable_audio`, `unsupported_media`,
 * `unsupported_sample_rate`, `audio_too_short`, `audio_too_long`, `invalid_samples`.
 */
export function decodeWav(bytes: Uint8Array, { minSeconds = 0.1, maxSeconds = Infinity }: WavLimits = {}): Audio {
  const { frameCount, sampleRateHz, read } = openWav(bytes)
  const seconds = frameCount / sampleRateHz
  if (frameCount === 0 || seconds < minSeconds) {
    throw refuse('audio_too_short', `expected at least ${minSeconds} s of audio, got ${seconds.toFixed(3)} s`)
  }
  if (seconds > maxSeconds) {
    throw refuse('audio_too_long', `expected at most ${maxSeconds} s of audio, got ${seconds.toFixed(1)} s`)
  }
  return { samples: mixToMono(read(0, frameCount)), sampleRateHz }
}

export type OpenWav = {
  readonly frameCount: number
  readonly sampleRateHz: number
  /** The samples of each channel, from a frame to the one before another. Throws `invalid_samples`. */
  readonly read: (from: number, to: number) => Float32Array[]
}

/** A WAV file of which parts are to be read. Throws what `decodeWav` throws of a file, but for its length. */
export function openWav(bytes: Uint8Array): OpenWav {
  checkContainer(bytes)
  const { format, data } = readChunks(bytes)
  const { channelCount, sampleRateHz } = format
  const frameBytes = (channelCount * format.bitsPerSample) / 8
  return {
    frameCount: Math.floor(data.length / frameBytes),
    sampleRateHz,
    read: (from, to) =>
      Array.from({ length: channelCount }, (_, channel) =>
        readChannel(data.subarray(from * frameBytes, to * frameBytes), format, channel, to - from),
      ),
  }
}

function checkContainer(bytes: Uint8Array): void {
  if (bytes.length === 0) throw refuse('empty_audio', 'expected a WAV file, got 0 bytes')
  const id = ascii(bytes, 0, 4)
  const other = OTHER_CONTAINERS[id]
  if (other !== undefined) throw unsupported(other)
  if (id === 'RIFF' && ascii(bytes, 8, 12) === 'WAVE') return
  throw undecodable('expected a WAV file, got bytes without its RIFF and WAVE marks')
}

/** Walks the chunks once, in order: fmt must come before data, and both exactly once count. */
function readChunks(bytes: Uint8Array): { format: Format; data: Uint8Array } {
  const view = viewOf(bytes)
  const isOpenEnded = isStreamed(view)
  let format: Format | undefined
  let data: Uint8Array | undefined
  let chunkCount = 0
  for (let at = 12; at + 8 <= bytes.length; chunkCount++) {
    if (chunkCount === MAX_CHUNKS) throw undecodable(`expected at most ${MAX_CHUNKS} chunks, got more`)
    const id = ascii(bytes, at, at + 4)
    const claimed = view.getUint32(at + 4, true)
    const start = at + 8
    const end = id === 'data' && claimed === 0 && isOpenEnded ? bytes.length : start + claimed
    if (id === 'fmt ' && !format) format = readFormat(bytes.subarray(start, end))
    if (id === 'data') {
      if (!format) throw undecodable('expected the fmt chunk before the data chunk, got data first')
      if (data) throw undecodable('expected one data chunk, got two')
      data = bytes.subarray(start, end)
    }
    at = skipPad(bytes, end, claimed)
  }
  if (!format) throw undecodable('expected a fmt chunk, got none')
  if (!data) throw undecodable('expected a data chunk, got none')
  return { format, data }
}

/** Whether the writer never came back to fill in the sizes: a data size of 0 then means "to the end". */
function isStreamed(view: DataView): boolean {
  const claimed = view.getUint32(4, true)
  const present = view.byteLength - 8
  return claimed < present - 1 || claimed > present + 1
}

/** Chunks of odd size end with a zero byte; some writers forget it, and no chunk's name begins with zero. */
const skipPad = (bytes: Uint8Array, end: number, size: number): number =>
  end + (size % 2 === 1 && bytes[end] === 0 ? 1 : 0)

function readFormat(chunk: Uint8Array): Format {
  if (chunk.length < 16) throw undecodable(`expected a fmt chunk of 16 bytes or more, got ${chunk.length}`)
  const view = viewOf(chunk)
  const encoding = readEncoding(chunk, view)
  const channelCount = view.getUint16(2, true)
  const sampleRateHz = view.getUint32(4, true)
  const frameBytes = view.getUint16(12, true)
  const bitsPerSample = view.getUint16(14, true)
  if (channelCount < 1 || channelCount > MAX_CHANNELS) {
    throw undecodable(`expected 1 to ${MAX_CHANNELS} channels, got ${channelCount}`)
  }
  if (READERS[`${encoding}${bitsPerSample}`] === undefined) {
    throw undecodable(`expected 8, 16, 24, 32 bits or float of 32, 64, got ${encoding} of ${bitsPerSample} bits`)
  }
  if (frameBytes !== (channelCount * bitsPerSample) / 8) {
    throw undecodable(`expected a block align of ${(channelCount * bitsPerSample) / 8} bytes, got ${frameBytes}`)
  }
  checkSampleRate(sampleRateHz)
  return { encoding, channelCount, sampleRateHz, bitsPerSample }
}

function readEncoding(chunk: Uint8Array, view: DataView): Encoding {
  const tag = view.getUint16(0, true)
  const format = tag === EXTENSIBLE && chunk.length >= 26 ? view.getUint16(24, true) : tag
  if (format === 1) return 'int'
  if (format === 3) return 'float'
  if (format === 0) throw undecodable('expected a WAV format, got format 0')
  throw unsupported(`WAV format 0x${format.toString(16).padStart(4, '0')}`)
}

type ReadSample = (view: DataView, at: number) => number

/** One sample at a byte offset, for each encoding and width; 8 bits are unsigned, the rest signed, all little-endian. */
const READERS: Readonly<Record<string, ReadSample>> = {
  int8: (view, at) => (view.getUint8(at) - 128) / 128,
  int16: (view, at) => view.getInt16(at, true) / 32_768,
  int24: (view, at) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 8_388_608,
  int32: (view, at) => view.getInt32(at, true) / 2_147_483_648,
  float32: (view, at) => inRange(view.getFloat32(at, true)),
  float64: (view, at) => inRange(view.getFloat64(at, true)),
}

function inRange(sample: number): number {
  if (!(Math.abs(sample) <= MAX_PEAK)) {
    throw refuse('invalid_samples', `expected float samples from -1 to 1, got ${sample}`)
  }
  return Math.max(-1, Math.min(1, sample))
}

/** Every sample of one channel. Throws `invalid_samples` for what is no sample. */
function readChannel(data: Uint8Array, format: Format, channel: number, frameCount: number): Float32Array {
  const { encoding, bitsPerSample, channelCount } = format
  const read = READERS[`${encoding}${bitsPerSample}`]
  if (!read) throw new Error(`no reader for ${encoding}${bitsPerSample} that the format allowed: this is a bug`)
  const view = viewOf(data)
  const sampleBytes = bitsPerSample / 8
  const samples = new Float32Array(frameCount)
  for (let frame = 0; frame < frameCount; frame++) {
    samples[frame] = read(view, (frame * channelCount + channel) * sampleBytes)
  }
  return samples
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const ascii = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to))

/** A mono 16-bit WAV file. Samples beyond full scale are clipped. */
export function encodeWav({ samples, sampleRateHz }: Audio): Uint8Array<ArrayBuffer> {
  const header = wavHeader({ sampleRateHz, sampleCount: samples.length })
  const file = new Uint8Array(HEADER_BYTES + samples.length * 2)
  file.set(header)
  file.set(pcm16(samples), HEADER_BYTES)
  return file
}

/**
 * The 44 bytes before mono 16-bit samples. `stream` claims the largest size, which readers take as "until the end"; so
 * does a count whose bytes do not fit in 32 bits.
 */
export function wavHeader({ sampleRateHz, sampleCount }: WavHeaderOptions): Uint8Array<ArrayBuffer> {
  const dataBytes = sampleCount === 'stream' ? UNKNOWN_SIZE : Math.min(UNKNOWN_SIZE, sampleCount * 2)
  const header = new Uint8Array(HEADER_BYTES)
  const view = viewOf(header)
  const writeId = (id: string, at: number): void => header.set(Buffer.from(id, 'latin1'), at)
  writeId('RIFF', 0)
  view.setUint32(4, Math.min(UNKNOWN_SIZE, dataBytes + HEADER_BYTES - 8), true)
  writeId('WAVEfmt ', 8)
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true) // PCM
  view.setUint16(22, 1, true) // channels
  view.setUint32(24, sampleRateHz, true)
  view.setUint32(28, sampleRateHz * 2, true)
  view.setUint16(32, 2, true)
  view.setUint16(34, 16, true)
  writeId('data', 36)
  view.setUint32(40, dataBytes, true)
  return header
}

export type WavHeaderOptions = { readonly sampleRateHz: number; readonly sampleCount: number | 'stream' }
