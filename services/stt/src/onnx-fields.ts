/** The fields of a protobuf message, which an ONNX file is. */

/** Field numbers of onnx.proto. */
export const MODEL_GRAPH = 7
export const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const
export const [VARINT, EIGHT, BYTES, FOUR] = [0, 1, 2, 5]

export type Field = {
  readonly number: number
  readonly wire: number
  readonly start: number
  readonly value: Uint8Array
  readonly int: number
}

/** Throws when the message breaks off. */
export function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  for (let at = 0; at < bytes.length;) {
    const start = at
    const key = readVarint(bytes, at)
    at = key.end
    const wire = key.value & 7
    const number = Math.floor(key.value / 8)
    if (wire === VARINT) {
      const { value, end } = readVarint(bytes, at)
      yield { number, wire, start, value: bytes.subarray(at, end), int: value }
      at = end
    } else {
      const { value: length, end } =
        wire === BYTES ? readVarint(bytes, at) : { value: wire === EIGHT ? 8 : wire === FOUR ? 4 : NaN, end: at }
      if (!(end + length <= bytes.length)) throw new Error('expected an ONNX file, got one that breaks off')
      yield { number, wire, start, value: bytes.subarray(end, end + length), int: 0 }
      at = end + length
    }
  }
}

/** Large ones lose their last bits, which nobody asks for. */
export function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = bytes[at++]
    if (byte === undefined) break
    value += (byte & 127) * 2 ** shift
    if (byte < 128) return { value, end: at }
  }
  throw new Error('expected an ONNX file, got one that breaks off')
}
