import { describe, expect, test } from 'vitest'
import { fromG711, toG711 } from './g711.ts'
import type { Law } from './g711.ts'

const samplesOf = (pcm: Buffer) => Array.from({ length: pcm.length / 2 }, (_, at) => pcm.readInt16LE(at * 2))
const decoded = (byte: number, law: Law) => samplesOf(fromG711(Uint8Array.of(byte), law))[0] ?? Number.NaN
const encoded = (sample: number, law: Law) => {
  const pcm = Buffer.alloc(2)
  pcm.writeInt16LE(sample)
  return toG711(pcm, law)[0]
}

describe('G.711', () => {
  // The loudest and the quietest codes of ITU-T G.711's tables, scaled from 14 and 13 bits to 16.
  test.each<[Law, number, number]>([
    ['mu', 0xff, 0],
    ['mu', 0x7f, 0],
    ['mu', 0x80, 32_124],
    ['mu', 0x00, -32_124],
    ['mu', 0xfe, 8],
    ['a', 0xd5, 8],
    ['a', 0x55, -8],
    ['a', 0xaa, 32_256],
    ['a', 0x2a, -32_256],
  ])('%s-law: code %i is sample %i', (law, byte, sample) => {
    expect(decoded(byte, law)).toBe(sample + 0)
  })

  test.each<Law>(['mu', 'a'])('%s-law: every code comes back as itself', (law) => {
    for (let byte = 0; byte < 256; byte++) {
      const sample = decoded(byte, law)
      // Zero has two codes in mu-law.
      if (law === 'mu' && byte === 0x7f) continue
      expect(encoded(sample, law)).toBe(byte)
    }
  })

  test.each<Law>(['mu', 'a'])('%s-law: no sample is off by more than its step', (law) => {
    for (let sample = -32_768; sample < 32_768; sample += 7) {
      const back = decoded(encoded(sample, law) ?? 0, law)
      expect(Math.abs(back - sample)).toBeLessThanOrEqual(Math.max(16, Math.abs(sample) / 16 + 16))
    }
  })
})
