/**
 * Makes an encoder that always hears 30 s hear less. Such an export adds a table of 1500 positions to whatever comes; here the file is
 * changed so that it adds as many of them as there are. Everything else in it stays as it is, byte for byte.
 */
import { BYTES, fieldsOf, GRAPH, MODEL_GRAPH, readVarint, VARINT } from './onnx-fields.ts'
import type { Field } from './onnx-fields.ts'

/** Field numbers of onnx.proto. */
const NODE = { input: 1, output: 2, name: 3, kind: 4 } as const
const TENSOR = { dimensions: 1, type: 2, name: 8, int64: 7 } as const
const INT64 = 7
const POSITIONS = 1500

/**
 * The file with a window of any length; null when it has no such table, or adds it in a way that is not known here. Whether the rest bears a
 * shorter window, only a run tells.
 */
export function openWindow(file: Uint8Array): Uint8Array<ArrayBuffer> | null {
  const model = [...fieldsOf(file)]
  const graph = model.find(({ number }) => number === MODEL_GRAPH)
  if (!graph) return null
  const fields = [...fieldsOf(graph.value)]
  const tables = new Set(
    fields.filter(({ number }) => number === GRAPH.initializer).flatMap(({ value }) => tableName(value)),
  )
  const isAdder = ({ number, value }: Field) => number === GRAPH.node && addsOneOf(value, tables)
  if (fields.filter(isAdder).length !== 1) return null
  const parts = fields.flatMap((field): Uint8Array[] => {
    if (field.number === GRAPH.valueInfo) return [] // tells of 30 s
    if (isAdder(field)) return slicedAdder(field.value, tables)
    if (field.number === GRAPH.input || field.number === GRAPH.output)
      return [lengthField(field.number, freed(field.value))]
    return [whole(graph.value, field)]
  })
  const patched = Buffer.concat([...parts, ...CONSTANTS])
  const rest = model.filter((field) => field !== graph).map((field) => whole(file, field))
  return Uint8Array.from(Buffer.concat([...rest, lengthField(MODEL_GRAPH, patched)]))
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let left = value
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left & 127) | 128)
  return Uint8Array.of(...bytes, left)
}

const lengthField = (number: number, value: Uint8Array): Uint8Array =>
  Buffer.concat([varint(number * 8 + BYTES), varint(value.length), value])
const textField = (number: number, text: string): Uint8Array => lengthField(number, Buffer.from(text))
const whole = (bytes: Uint8Array, { start, value }: Field): Uint8Array =>
  bytes.subarray(start, value.byteOffset - bytes.byteOffset + value.length)
const text = (value: Uint8Array): string => Buffer.from(value).toString('utf8')
const textsOf = (message: Uint8Array, number: number): string[] =>
  [...fieldsOf(message)].filter((field) => field.number === number).map(({ value }) => text(value))

/** The name of a table of positions: [1500, width], or with a 1 in front. */
function tableName(tensor: Uint8Array): string[] {
  const fields = [...fieldsOf(tensor)]
  const sizes = fields
    .filter(({ number }) => number === TENSOR.dimensions)
    .flatMap(({ wire, value, int }) => (wire === VARINT ? [int] : packed(value)))
    .filter((size, at) => at > 0 || size !== 1)
  return sizes.length === 2 && sizes[0] === POSITIONS ? textsOf(tensor, TENSOR.name) : []
}

function packed(bytes: Uint8Array): number[] {
  const values: number[] = []
  for (let at = 0; at < bytes.length;) {
    const { value, end } = readVarint(bytes, at)
    values.push(value)
    at = end
  }
  return values
}

const addsOneOf = (node: Uint8Array, tables: ReadonlySet<string>): boolean =>
  textsOf(node, NODE.kind)[0] === 'Add' && textsOf(node, NODE.input).some((name) => tables.has(name))

const NAMES = {
  shape: 'hearth_window_shape',
  length: 'hearth_window_length',
  rows: 'hearth_window_rows',
  zero: 'hearth_window_0',
  one: 'hearth_window_1',
  two: 'hearth_window_2',
  axis: 'hearth_window_axis',
}

const node = (kind: string, inputs: readonly string[], output: string): Uint8Array =>
  lengthField(
    GRAPH.node,
    Buffer.concat([
      ...inputs.map((name) => textField(NODE.input, name)),
      textField(NODE.output, output),
      textField(NODE.kind, kind),
    ]),
  )

/** The same addition, of as many rows of the table as the other side has: its second dimension. */
function slicedAdder(adder: Uint8Array, tables: ReadonlySet<string>): Uint8Array[] {
  const [other = ''] = textsOf(adder, NODE.input).filter((name) => !tables.has(name))
  const [table = ''] = textsOf(adder, NODE.input).filter((name) => tables.has(name))
  const changed = [...fieldsOf(adder)].map((field) =>
    field.number === NODE.input && text(field.value) === table
      ? textField(NODE.input, NAMES.rows)
      : whole(adder, field),
  )
  return [
    node('Shape', [other], NAMES.shape),
    node('Slice', [NAMES.shape, NAMES.one, NAMES.two, NAMES.zero], NAMES.length),
    // From the end, as the table may have a 1 in front.
    node('Slice', [table, NAMES.zero, NAMES.length, NAMES.axis], NAMES.rows),
    lengthField(GRAPH.node, Buffer.concat(changed)),
  ]
}

const CONSTANTS = [
  [NAMES.zero, 0],
  [NAMES.one, 1],
  [NAMES.two, 2],
  [NAMES.axis, -2],
].map(([name, value]) => {
  const data = new Uint8Array(BigInt64Array.of(BigInt(value ?? 0)).buffer)
  const tensor = [
    Buffer.concat([varint(TENSOR.dimensions * 8), varint(1)]),
    Buffer.concat([varint(TENSOR.type * 8), varint(INT64)]),
    textField(TENSOR.name, String(name)),
    lengthField(9, data), // raw_data
  ]
  return lengthField(GRAPH.initializer, Buffer.concat(tensor))
})

/** The description of an input or output, with its last but one or last size (the frames) open: `[rows, mels, frames]`, `[rows, positions, width]`. */
function freed(info: Uint8Array): Uint8Array {
  return mapFields(info, 2, (type) =>
    mapFields(type, 1, (tensor) =>
      mapFields(tensor, 2, (shape) =>
        mapFields(shape, 1, (size) => (isLength(size) ? textField(2, 'hearth_length') : size)),
      ),
    ),
  )
}

const isLength = (size: Uint8Array): boolean =>
  [...fieldsOf(size)].some(({ number, int }) => number === 1 && (int === POSITIONS || int === 2 * POSITIONS))

/** A message with one kind of field changed. */
function mapFields(message: Uint8Array, number: number, change: (value: Uint8Array) => Uint8Array): Uint8Array {
  const parts = [...fieldsOf(message)].map((field) =>
    field.number === number && field.wire === BYTES ? lengthField(number, change(field.value)) : whole(message, field),
  )
  return Buffer.concat(parts)
}
