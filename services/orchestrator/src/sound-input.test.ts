import { encodeWav } from '@hearth/shared/wav'
import { expect, test } from 'vitest'
import { requireSound } from './sound-input.ts'

const bytes = (...values: (number | string)[]) =>
  Buffer.concat(values.map((value) => (typeof value === 'string' ? Buffer.from(value) : Buffer.of(value))))

test.each([
  ['WAV', encodeWav({ samples: new Float32Array(1600), sampleRateHz: 16_000 })],
  ['FLAC', bytes('fLaC', 0, 0)],
  ['Ogg', bytes('OggS', 0, 2)],
  ['MP3 with tags', bytes('ID3', 4, 0)],
  ['MP3', bytes(0xff, 0xfb, 0x90)],
  ['AAC', bytes(0xff, 0xf1, 0x50)],
  ['WebM', bytes(0x1a, 0x45, 0xdf, 0xa3, 0x9f)],
  ['MP4', bytes(0, 0, 0, 0x20, 'ftypM4A ')],
])('%s is left to the ear', (_, file) => {
  expect(() => requireSound(file)).not.toThrow()
})

test.each([
  ['nothing', bytes(), 'empty_audio'],
  ['a text', bytes('hello hello hello'), 'undecodable_audio'],
  ['a picture', bytes(0x89, 'PNG\r\n', 0x1a, '\n'), 'undecodable_audio'],
  ['a WAV without a sample', encodeWav({ samples: new Float32Array(0), sampleRateHz: 16_000 }), 'audio_too_short'],
])('%s is refused', (_, file, code) => {
  expect(() => requireSound(file)).toThrow(expect.objectContaining({ code }))
})
