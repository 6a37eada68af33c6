/** The fields of an ONNX file (onnx.proto), read where they lie and written anew where they change: enough to exchange nodes, and no more. */

/** Field numbers. */
export const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const
export const MODEL = { graph: 7, opset: 8 } as const
const NODE = { input: 1, output: 2, kind: 4, attribute: 5, domain: 7 } as const
const ATTRIBUTE = { name: 1, float: 2, int: 3, tensor: 5, graph: 6, ints: 8, type: 20 } as const
const TENSOR = { dimensions: 1, type: 2, name: 8, raw: 9 } as const
const OPSET = { domain: 1, version: 2 } as const
const ATTRIBUTE_TYPE = { float: 1, int: 2, ints: 7 } as const
const INT64 = 7
export const [VARINT, EIGHT, BYTES, FOUR] = [0, 1, 2, 5]

export type Field = {
  readonly number: number
  readonly wire: number
  readonly start: number
  readonly value: Uint8Array
  readonly int: number
}

/** Throws when the bytes end within a field. */
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

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let left = value
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left & 127) | 128)
  return Uint8Array.of(...bytes, left)
}

const intField = (number: number, value: number): Uint8Array =>
  Buffer.concat([varint(number * 8 + VARINT), varint(value)])
const lengthKey = (number: number, length: number): Uint8Array =>
  Buffer.concat([varint(number * 8 + BYTES), varint(length)])
const lengthField = (number: number, value: Uint8Array): Uint8Array =>
  Buffer.concat([lengthKey(number, value.length), value])
export const textField = (number: number, text: string): Uint8Array => lengthField(number, Buffer.from(text))
const text = (value: Uint8Array): string => Buffer.from(value).toString('utf8')

/** A field as it stands in `bytes`, its key included. */
export const whole = (bytes: Uint8Array, { start, value }: Field): Uint8Array =>
  bytes.subarray(start, value.byteOffset - bytes.byteOffset + value.length)

/** A message with one kind of field changed. */
export function mapFields(message: Uint8Array, number: number, change: (value: Uint8Array) => Uint8Array): Uint8Array {
  const parts = [...fieldsOf(message)].map((field) =>
    field.number === number && field.wire === BYTES ? lengthField(number, change(field.value)) : whole(message, field),
  )
  return Buffer.concat(parts)
}

type Attribute = {
  readonly ints: readonly number[]
  readonly tensor: Uint8Array | undefined
  readonly isGraph: boolean
}

export type GraphNode = {
  readonly field: Field
  readonly kind: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
}

function readNode(field: Field): GraphNode {
  const fields = [...fieldsOf(field.value)]
  const texts = (number: number) => fields.filter((each) => each.number === number).map(({ value }) => text(value))
  const attributes = fields.filter(({ number }) => number === NODE.attribute).map(({ value }) => readAttribute(value))
  const [kind = ''] = texts(NODE.kind)
  return { field, kind, inputs: texts(NODE.input), outputs: texts(NODE.output), attributes: new Map(attributes) }
}

function readAttribute(message: Uint8Array): [name: string, attribute: Attribute] {
  const fields = [...fieldsOf(message)]
  const valueOf = (wanted: number) => fields.find(({ number }) => number === wanted)?.value
  const ints = fields.filter(({ number }) => number === ATTRIBUTE.int || number === ATTRIBUTE.ints).flatMap(intsOf)
  const isGraph = valueOf(ATTRIBUTE.graph) !== undefined
  return [text(valueOf(ATTRIBUTE.name) ?? new Uint8Array()), { ints, tensor: valueOf(ATTRIBUTE.tensor), isGraph }]
}

/** One number, or a packed list of them. Negative ones are right down to -1000 or so: nothing else comes up here. */
function intsOf({ wire, value, int }: Field): number[] {
  if (wire === VARINT) return [signed(value, int)]
  const values: number[] = []
  for (let at = 0; at < value.length;) {
    const { value: each, end } = readVarint(value, at)
    values.push(signed(value.subarray(at, end), each))
    at = end
  }
  return values
}

/** -1 is ten bytes, of which the first two tell it from -2. */
const signed = (bytes: Uint8Array, value: number): number =>
  bytes.length < 10 ? value : (((bytes[0] ?? 0) & 127) | (((bytes[1] ?? 0) & 127) << 7)) - 16_384

/** Names and sizes of a constant. */
export function readTensor(message: Uint8Array): { readonly name: string; readonly sizes: readonly number[] } {
  const fields = [...fieldsOf(message)]
  const name = text(fields.find(({ number }) => number === TENSOR.name)?.value ?? new Uint8Array())
  return { name, sizes: fields.filter(({ number }) => number === TENSOR.dimensions).flatMap(intsOf) }
}

/** The name of an input or output of the graph, or of a set of operators. */
export const nameOf = (info: Uint8Array): string =>
  text([...fieldsOf(info)].find(({ number }) => number === 1)?.value ?? new Uint8Array())

type Attributes = Readonly<Record<string, number | readonly number[] | { readonly float: number }>>

/** A node with one result. */
export function node(
  kind: string,
  inputs: readonly string[],
  output: string,
  { domain = '', attributes = {} }: { readonly domain?: string; readonly attributes?: Attributes } = {},
): Uint8Array {
  const parts = Object.entries(attributes).map(([name, value]) =>
    lengthField(NODE.attribute, Buffer.concat([textField(ATTRIBUTE.name, name), ...attributeValue(value)])),
  )
  const names = [...inputs.map((name) => textField(NODE.input, name)), textField(NODE.output, output)]
  const message = [...names, textField(NODE.kind, kind), ...parts, textField(NODE.domain, domain)]
  return lengthField(GRAPH.node, Buffer.concat(message))
}

function attributeValue(value: Attributes[string]): Uint8Array[] {
  if (typeof value === 'number') return [intField(ATTRIBUTE.int, value), intField(ATTRIBUTE.type, ATTRIBUTE_TYPE.int)]
  if (!('float' in value))
    return [...value.map((each) => intField(ATTRIBUTE.ints, each)), intField(ATTRIBUTE.type, ATTRIBUTE_TYPE.ints)]
  const bytes = new Uint8Array(Float32Array.of(value.float).buffer)
  const float = Buffer.concat([varint(ATTRIBUTE.float * 8 + FOUR), bytes])
  return [float, intField(ATTRIBUTE.type, ATTRIBUTE_TYPE.float)]
}

/** The same node with one of its inputs exchanged. */
export const withInput = ({ field }: GraphNode, from: string, to: string): Uint8Array =>
  lengthField(
    GRAPH.node,
    mapFields(field.value, NODE.input, (name) => (text(name) === from ? Buffer.from(to) : name)),
  )

export type Graph = {
  readonly bytes: Uint8Array
  readonly fields: readonly Field[]
  readonly nodes: readonly GraphNode[]
}

export type GraphChange = {
  /** All fields of the graph, as they are to be. */
  readonly parts: readonly Uint8Array[]
  /** A set of operators that the file does not name yet. */
  readonly domain?: string
}

/** The file with its graph changed, and all else as it was; null when there is no graph, or `change` gives none. */
export function changeGraph(file: Uint8Array, change: (graph: Graph) => GraphChange | null): Uint8Array | null {
  const model = [...fieldsOf(file)]
  const graph = model.find(({ number }) => number === MODEL.graph)
  if (!graph) return null
  const fields = [...fieldsOf(graph.value)]
  const nodes = fields.filter(({ number }) => number === GRAPH.node).map(readNode)
  const changed = change({ bytes: graph.value, fields, nodes })
  if (!changed) return null
  const { parts, domain } = changed
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const rest = model.filter((field) => field !== graph).map((field) => whole(file, field))
  const known = model.filter(({ number }) => number === MODEL.opset).map(({ value }) => nameOf(value))
  const opset = domain === undefined || known.includes(domain) ? [] : [opsetField(domain)]
  // One copy: most of it is weights.
  return Buffer.concat([...rest, ...opset, lengthKey(MODEL.graph, length), ...parts])
}

const opsetField = (domain: string): Uint8Array =>
  lengthField(MODEL.opset, Buffer.concat([textField(OPSET.domain, domain), intField(OPSET.version, 1)]))

/** A constant list of one whole number. */
export function intConstant(name: string, value: number): Uint8Array {
  const data = new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)
  const tensor = [
    intField(TENSOR.dimensions, 1),
    intField(TENSOR.type, INT64),
    textField(TENSOR.name, name),
    lengthField(TENSOR.raw, data),
  ]
  return lengthField(GRAPH.initializer, Buffer.concat(tensor))
}
