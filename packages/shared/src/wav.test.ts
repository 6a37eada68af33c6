import { describe, expect, test } from 'vitest'
import { AppError } from './errors.ts'
import { decodeWav, encodeWav, wavHeader } from './wav.ts'

const RATE = 8000
const tone = Float32Array.from({ length: RATE }, (_, at) => 0.5 * Math.sin(at / 5))

type Parts = {
  tag?: number
  bits?: number
  channels?: number
  rateHz?: number
  block?: number
  extensible?: boolean
  riffSize?: number
  dataSize?: number
  before?: Uint8Array
  data?: Uint8Array
}

/** A WAV file made by hand, so that each field can lie. */
function wav({
  tag = 1,
  bits = 16,
  channels = 1,
  rateHz = RATE,
  extensible = false,
  ...parts
}: Parts = {}): Uint8Array {
  const data = parts.data ?? encodeWav({ samples: tone, sampleRateHz: RATE }).subarray(44)
  const before = parts.before ?? new Uint8Array(0)
  const fmtLength = extensible ? 40 : 16
  const bytes = new Uint8Array(12 + 8 + fmtLength + before.length + 8 + data.length)
  const view = new DataView(bytes.buffer)
  const text = (at: number, value: string) => bytes.set(new TextEncoder().encode(value), at)
  text(0, 'RIFF')
  view.setUint32(4, parts.riffSize ?? bytes.length - 8, true)
  text(8, 'WAVEfmt ')
  view.setUint32(16, fmtLength, true)
  view.setUint16(20, extensible ? 0xfffe : tag, true)
  view.setUint16(22, channels, true)
  view.setUint32(24, rateHz, true)
  view.setUint16(32, parts.block ?? (channels * bits) / 8, true)
  view.setUint16(34, bits, true)
  if (extensible) view.setUint16(44, tag, true)
  bytes.set(before, 20 + fmtLength)
  const at = 20 + fmtLength + before.length
  text(at, 'data')
  view.setUint32(at + 4, parts.dataSize ?? data.length, true)
  bytes.set(data, at + 8)
  return bytes
}

const codeOf = (bytes: Uint8Array, limits = {}) => {
  try {
    return decodeWav(bytes, limits).samples.length
  } catch (error) {
    return error instanceof AppError ? error.code : error
  }
}

/** The tone in another sample format. */
function pack(width: number, write: (view: DataView, at: number, sample: number) => void): Uint8Array {
  const view = new DataView(new ArrayBuffer(tone.length * width))
  tone.forEach((sample, at) => write(view, at * width, sample))
  return new Uint8Array(view.buffer)
}

const formats: [string, Parts, number][] = [
  ['PCM 8', { bits: 8, data: pack(1, (view, at, s) => view.setUint8(at, Math.round(s * 128) + 128)) }, 0.01],
  ['PCM 16', {}, 1e-4],
  [
    'PCM 24',
    {
      bits: 24,
      data: pack(3, (view, at, s) => {
        const level = Math.round(s * 8_388_607)
        view.setUint16(at, level & 0xffff, true)
        view.setInt8(at + 2, level >> 16)
      }),
    },
    1e-6,
  ],
  ['PCM 32', { bits: 32, data: pack(4, (view, at, s) => view.setInt32(at, s * 2_147_483_647, true)) }, 1e-6],
  ['float 32', { tag: 3, bits: 32, data: pack(4, (view, at, s) => view.setFloat32(at, s, true)) }, 1e-9],
  ['float 64', { tag: 3, bits: 64, data: pack(8, (view, at, s) => view.setFloat64(at, s, true)) }, 1e-7],
  ['WAVE_FORMAT_EXTENSIBLE', { extensible: true }, 1e-4],
]

test.each(formats)('reads %s', (_name, parts, tolerance) => {
  const { samples, sampleRateHz } = decodeWav(wav(parts))
  expect(sampleRateHz).toBe(RATE)
  expect(samples.length).toBe(RATE)
  expect(Math.max(...samples.map((sample, at) => Math.abs(sample - (tone[at] ?? 0))))).toBeLessThan(tolerance)
})

test('what it writes it reads again', () => {
  const { samples } = decodeWav(encodeWav({ samples: tone, sampleRateHz: 24_000 }))
  expect(Math.max(...samples.map((sample, at) => Math.abs(sample - (tone[at] ?? 0))))).toBeLessThan(1e-4)
})

/** The file with one more chunk of four bytes, and the RIFF size that counts it. */
function withTail(file: Uint8Array, id: string): Uint8Array {
  const tail = new Uint8Array(12)
  tail.set(new TextEncoder().encode(id))
  tail.set([4], 4)
  const bytes = Uint8Array.from([...file, ...tail])
  new DataView(bytes.buffer).setUint32(4, bytes.length - 8, true)
  return bytes
}

describe('sizes are hints', () => {
  const short = encodeWav({ samples: tone, sampleRateHz: RATE }).subarray(44)
  test.each([
    ['a streamed file (all ones)', wav({ riffSize: 0xffffffff, dataSize: 0xffffffff }), RATE],
    ['a piped file (zeros)', wav({ riffSize: 0, dataSize: 0 }), RATE],
    ['10 hours claimed, one second there', wav({ dataSize: 10 * 3600 * RATE * 2 }), RATE],
    ['half of the data claimed', wav({ dataSize: RATE }), RATE / 2],
    ['an odd last byte', wav({ data: short.subarray(0, 4001) }), 2000],
    ['a chunk before the data', wav({ before: Uint8Array.from([76, 73, 83, 84, 2, 0, 0, 0, 1, 2]) }), RATE],
    ['an odd chunk with its pad byte', wav({ before: Uint8Array.from([76, 73, 83, 84, 1, 0, 0, 0, 1, 0]) }), RATE],
    [
      'an odd chunk that lacks its pad byte',
      wav({ before: Uint8Array.from([76, 73, 83, 84, 3, 0, 0, 0, 1, 2, 3]) }),
      RATE,
    ],
    ['10 hours claimed, 1 KB there', wav({ bits: 8, dataSize: 36_000 * RATE, data: new Uint8Array(1024) }), 1024],
    ['a chunk after the data', withTail(wav(), 'LIST'), RATE],
    [
      'the header of our own stream',
      Uint8Array.from([...wavHeader({ sampleRateHz: RATE, sampleCount: 'stream' }), ...short]),
      RATE,
    ],
  ])('%s', (_name, bytes, samples) => {
    expect(codeOf(bytes)).toBe(samples)
  })
})

const floats = (value: number) => pack(4, (view, at, s) => view.setFloat32(at, at === 400 ? value : s, true))
const dataFirst = Uint8Array.from([...wav().subarray(0, 12), ...wav().subarray(36), ...wav().subarray(12, 36)])
const nan = pack(4, (view, at, s) => view.setFloat32(at, at === 400 ? Number.NaN : s, true))
const infinite = pack(4, (view, at, s) => view.setFloat32(at, at === 400 ? Infinity : s, true))
const header = wav().subarray(0, 44)
const junk = Uint8Array.from({ length: 100_000 * 8 }, (_, at) => (at % 8 < 4 ? 65 : 0))

test.each([
  ['no bytes', new Uint8Array(0), 'empty_audio'],
  ['text', new TextEncoder().encode('this is not a sound'), 'undecodable_audio'],
  ['a RIFF file that is no WAVE', new TextEncoder().encode('RIFF____AVI LIST'), 'undecodable_audio'],
  ['a header without samples', header, 'audio_too_short'],
  ['0 samples', wav({ data: new Uint8Array(0) }), 'audio_too_short'],
  ['one sample', wav({ data: new Uint8Array(2) }), 'audio_too_short'],
  ['99 ms', wav({ data: new Uint8Array(2 * 792) }), 'audio_too_short'],
  ['no channel', wav({ channels: 0 }), 'undecodable_audio'],
  ['65,535 channels', wav({ channels: 65_535 }), 'undecodable_audio'],
  ['65 channels', wav({ channels: 65 }), 'undecodable_audio'],
  ['rate 0', wav({ rateHz: 0 }), 'unsupported_sample_rate'],
  ['rate 4,294,967,295', wav({ rateHz: 4_294_967_295 }), 'unsupported_sample_rate'],
  ['7 bits', wav({ bits: 7 }), 'undecodable_audio'],
  ['0 bits', wav({ bits: 0 }), 'undecodable_audio'],
  ['a wrong block size', wav({ block: 3 }), 'undecodable_audio'],
  ['ADPCM', wav({ tag: 2, bits: 4 }), 'unsupported_media'],
  ['A-law', wav({ tag: 6, bits: 8 }), 'unsupported_media'],
  ['mu-law', wav({ tag: 7, bits: 8 }), 'unsupported_media'],
  ['MP3 in WAV', wav({ tag: 0x55, bits: 0 }), 'unsupported_media'],
  ['format 0', wav({ tag: 0 }), 'undecodable_audio'],
  ['float of 16 bits', wav({ tag: 3, bits: 16 }), 'undecodable_audio'],
  ['integers of 64 bits', wav({ bits: 64 }), 'undecodable_audio'],
  ['rate 1', wav({ rateHz: 1 }), 'unsupported_sample_rate'],
  ['two data chunks', withTail(wav(), 'data'), 'undecodable_audio'],
  ['data before fmt', dataFirst, 'undecodable_audio'],
  ['no data chunk', wav().subarray(0, 36), 'undecodable_audio'],
  ['half of a format', wav().subarray(0, 30), 'undecodable_audio'],
  ['RIFX', new TextEncoder().encode('RIFX____WAVEfmt '), 'unsupported_media'],
  ['Wave64', new TextEncoder().encode('riff.....'), 'unsupported_media'],
  ['AIFF', new TextEncoder().encode('FORM____AIFFCOMM'), 'unsupported_media'],
  ['FLAC', new TextEncoder().encode('fLaC'), 'unsupported_media'],
  ['base64 text', new TextEncoder().encode('UklGRiQAAABXQVZFZm10IBAAAA'), 'undecodable_audio'],
  ['floats of 1e38', wav({ tag: 3, bits: 32, data: floats(1e38) }), 'invalid_samples'],
  ['integers stored as floats', wav({ tag: 3, bits: 32, data: floats(-20_000) }), 'invalid_samples'],
  ['RF64', new TextEncoder().encode('RF64____WAVEds64'), 'unsupported_media'],
  ['NaN', wav({ tag: 3, bits: 32, data: nan }), 'invalid_samples'],
  ['infinity', wav({ tag: 3, bits: 32, data: infinite }), 'invalid_samples'],
  ['100,000 empty chunks', Uint8Array.from([...wav().subarray(0, 36), ...junk]), 'undecodable_audio'],
  ['100,000 empty chunks before the data', wav({ before: junk }), 'undecodable_audio'],
  [
    'a chunk length past the end',
    wav({ before: Uint8Array.from([76, 73, 83, 84, 255, 255, 255, 255]) }),
    'undecodable_audio',
  ],
])('refuses %s', (_name, bytes, code) => {
  expect(codeOf(bytes)).toBe(code)
})

test('no samples is too short, whatever the limit; a chunk behind them is not taken for sound', () => {
  const empty = wav({ data: new Uint8Array(0) })
  expect(codeOf(empty, { minSeconds: 0 })).toBe('audio_too_short')
  expect(codeOf(withTail(empty, 'LIST'), { minSeconds: 0 })).toBe('audio_too_short')
})

test('refuses more seconds than the limit', () => {
  expect(codeOf(wav(), { maxSeconds: 0.9 })).toBe('audio_too_long')
  expect(codeOf(wav(), { maxSeconds: 1 })).toBe(RATE)
})

test('opposite stereo is heard', () => {
  const samples = pack(4, (view, at, s) => {
    view.setInt16(at, Math.round(s * 32_767), true)
    view.setInt16(at + 2, Math.round(-s * 32_767), true)
  })
  const heard = decodeWav(wav({ channels: 2, data: samples })).samples
  expect(Math.max(...heard)).toBeGreaterThan(0.4)
})

test('speech on one of eight channels is heard at full level', () => {
  const width = 16
  const data = pack(width, (view, at, s) => view.setInt16(at + 14, Math.round(s * 32_767), true))
  const heard = decodeWav(wav({ channels: 8, data })).samples
  expect(heard.length).toBe(RATE)
  expect(Math.max(...heard)).toBeGreaterThan(0.49)
})

test('floats a little beyond full scale are clipped', () => {
  const { samples } = decodeWav(wav({ tag: 3, bits: 32, data: floats(1.5) }))
  expect(samples[100]).toBe(1)
})

test.each([4000, 8000, 192_000, 384_000])('a full-scale square wave at %i Hz stays in range', (rateHz) => {
  const data = new Uint8Array(rateHz * 2)
  const view = new DataView(data.buffer)
  for (let i = 0; i < rateHz; i++) view.setInt16(2 * i, i % 40 < 20 ? 32_767 : -32_768, true)
  const { samples, sampleRateHz } = decodeWav(wav({ rateHz, data }))
  expect(sampleRateHz).toBe(rateHz)
  expect(samples.every((sample) => Math.abs(sample) <= 1)).toBe(true)
})

test('reads a file that begins anywhere in its buffer', () => {
  const file = wav()
  const shifted = new Uint8Array(file.length + 3)
  shifted.set(file, 3)
  expect(decodeWav(shifted.subarray(3))).toEqual(decodeWav(file))
})

test('the header counts what follows, and a stream claims the largest size', () => {
  const sizes = (sampleCount: number | 'stream') => {
    const view = new DataView(wavHeader({ sampleRateHz: 24_000, sampleCount }).buffer)
    return [view.getUint32(4, true), view.getUint32(28, true), view.getUint32(40, true)]
  }
  expect(sizes(100)).toEqual([236, 48_000, 200])
  expect(sizes('stream')).toEqual([0xffffffff, 48_000, 0xffffffff])
  expect(sizes(3e9)).toEqual([0xffffffff, 48_000, 0xffffffff])
})

test('messages name the field, what was expected and what came', () => {
  expect(() => decodeWav(wav({ channels: 0 }))).toThrow('expected 1 to 64 channels, got 0')
  expect(() => decodeWav(wav({ channels: 0 }))).toThrow(expect.objectContaining({ param: 'file' }))
})
