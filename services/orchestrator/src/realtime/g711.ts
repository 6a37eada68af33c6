/** Telephone sound (ITU-T G.711): 8 kHz, one byte a sample, mu-law or A-law, to 16-bit samples and back. */

export type Law = 'mu' | 'a'

const MU_BIAS = 0x84
const MU_CLIP = 32_635

/** One byte, of which all bits but the sign are sent inverted. */
function muToLinear(byte: number): number {
  const code = ~byte & 0xff
  const size = (((code & 0x0f) << 3) + MU_BIAS) << ((code & 0x70) >> 4)
  return code & 0x80 ? MU_BIAS - size : size - MU_BIAS
}

/** One byte, of which every second bit is sent inverted; the sign bit is set for what is positive. */
function aToLinear(byte: number): number {
  const code = byte ^ 0x55
  const segment = (code & 0x70) >> 4
  const step = ((code & 0x0f) << 4) + 8
  const size = segment === 0 ? step : (step + 0x100) << (segment - 1)
  return code & 0x80 ? size : -size
}

function linearToMu(sample: number): number {
  const size = Math.min(Math.abs(sample), MU_CLIP) + MU_BIAS
  const segment = 31 - Math.clz32(size) - 7
  const code = (segment << 4) | ((size >> (segment + 3)) & 0x0f)
  return ~(sample < 0 ? code | 0x80 : code) & 0xff
}

function linearToA(sample: number): number {
  const size = Math.min(sample < 0 ? ~sample : sample, 32_767)
  const segment = size < 0x100 ? 0 : 31 - Math.clz32(size) - 7
  const mantissa = (size >> (segment === 0 ? 4 : segment + 3)) & 0x0f
  return ((segment << 4) | mantissa | (sample < 0 ? 0 : 0x80)) ^ 0x55
}

const tableOf = (read: (byte: number) => number) => Int16Array.from({ length: 256 }, (_, byte) => read(byte))
const LINEAR = { mu: tableOf(muToLinear), a: tableOf(aToLinear) }
const CODES = { mu: linearToMu, a: linearToA }

/** s16le bytes of the same sound. */
export function fromG711(bytes: Uint8Array, law: Law): Buffer<ArrayBuffer> {
  const pcm = Buffer.alloc(bytes.length * 2)
  const table = LINEAR[law]
  for (let at = 0; at < bytes.length; at++) pcm.writeInt16LE(table[bytes[at] ?? 0] ?? 0, at * 2)
  return pcm
}

/** From s16le bytes. */
export function toG711(pcm: Uint8Array, law: Law): Buffer<ArrayBuffer> {
  const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength)
  const encode = CODES[law]
  const bytes = Buffer.alloc(pcm.length >> 1)
  for (let at = 0; at < bytes.length; at++) bytes[at] = encode(view.getInt16(at * 2, true))
  return bytes
}
