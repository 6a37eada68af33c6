/**
 * Just enough of ONNX to write a model file: protocol buffers by hand (onnx.proto3 of ONNX 1.15), nodes, constants and `If` branches. Random
 * models in real shapes are made with it, where no weights can be had.
 */

/** A field of a message: its number, and a varint, bytes or text. */
type Field = readonly [number: number, value: number | bigint | Uint8Array | string]

function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = []
  let left = BigInt.asUintN(64, BigInt(value))
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  bytes.push(Number(left))
  return Uint8Array.from(bytes)
}

function message(fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const parts = fields.flatMap(([number, value]) => {
    if (typeof value === 'number' || typeof value === 'bigint') return [varint(number << 3), varint(value)]
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    return [varint((number << 3) | 2), varint(bytes.length), bytes]
  })
  return Uint8Array.from(Buffer.concat(parts))
}

export type ElementType = 'float' | 'int64' | 'bool'
const TYPES: Record<ElementType, number> = { float: 1, int64: 7, bool: 9 }
/** Kinds of attributes: a float is not needed often enough to be here but for epsilon. */
const [ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_GRAPH, ATTRIBUTE_INTS] = [1, 2, 5, 7]

export type Attribute = number | readonly number[] | { readonly float: number } | { readonly graph: Uint8Array }

function attribute(name: string, value: Attribute): Uint8Array {
  if (typeof value === 'number')
    return message([
      [1, name],
      [3, value],
      [20, ATTRIBUTE_INT],
    ])
  if (Array.isArray(value)) return message([[1, name], ...value.map((each): Field => [8, each]), [20, ATTRIBUTE_INTS]])
  if ('graph' in value)
    return message([
      [1, name],
      [6, value.graph],
      [20, ATTRIBUTE_GRAPH],
    ])
  const float = 'float' in value ? value.float : 0
  const bytes = new Uint8Array(Float32Array.of(float).buffer)
  return Buffer.concat([message([[1, name]]), varint((2 << 3) | 5), bytes, message([[20, ATTRIBUTE_FLOAT]])])
}

/** A number is fixed, a name may be anything. */
export type Shape = readonly (number | string)[]
export type Ports = Readonly<Record<string, readonly [ElementType, Shape]>>

function valueInfo(name: string, type: ElementType, shape: Shape): Uint8Array {
  const dimensions = shape.map((size): Field => [1, message([typeof size === 'number' ? [1, size] : [2, size]])])
  const typed = message([
    [1, TYPES[type]],
    [2, message(dimensions)],
  ])
  return message([
    [1, name],
    [2, message([[1, typed]])],
  ])
}

function tensor(name: string, values: Float32Array | BigInt64Array, shape: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const type = values instanceof Float32Array ? TYPES.float : TYPES.int64
  return message([...shape.map((size): Field => [1, size]), [2, type], [8, name], [9, bytes]])
}

/** A graph under construction; operators give the names of their results. */
export class Graph {
  readonly #nodes: Uint8Array[] = []
  readonly #constants: Uint8Array[] = []
  readonly #counter: { count: number }

  constructor(counter = { count: 0 }) {
    this.#counter = counter
  }

  constant(values: Float32Array | BigInt64Array, shape: readonly number[], name = this.#name('c')): string {
    this.#constants.push(tensor(name, values, shape))
    return name
  }

  ints(...values: readonly number[]): string {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length])
  }

  scalar(value: number, type: 'float' | 'int64'): string {
    return this.constant(type === 'float' ? Float32Array.of(value) : BigInt64Array.of(BigInt(value)), [])
  }

  op(
    kind: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output?: string,
  ): string {
    const name = output ?? this.#name(kind)
    this.#add(kind, inputs, attributes, [name])
    return name
  }

  /** `If`: both branches give as many names as `outputs`. */
  when(
    condition: string,
    then: (graph: Graph) => readonly string[],
    other: (graph: Graph) => readonly string[],
    outputs: readonly string[],
  ): void {
    const branch = (build: (graph: Graph) => readonly string[]) => {
      const graph = new Graph(this.#counter)
      return { graph: graph.encoded({}, Object.fromEntries(build(graph).map((name) => [name, null]))) }
    }
    this.#add('If', [condition], { then_branch: branch(then), else_branch: branch(other) }, outputs)
  }

  /** The whole model file. */
  model(inputs: Ports, outputs: Ports): Uint8Array<ArrayBuffer> {
    const opset = message([[2, 17]])
    return message([
      [1, 8],
      [2, 'hearth'],
      [7, this.encoded(inputs, outputs)],
      [8, opset],
    ])
  }

  /** A null in `outputs` leaves the type open, as a branch's results may. */
  encoded(inputs: Ports, outputs: Readonly<Record<string, readonly [ElementType, Shape] | null>>): Uint8Array {
    return message([
      ...this.#nodes.map((node): Field => [1, node]),
      [2, 'main'],
      ...this.#constants.map((constant): Field => [5, constant]),
      ...Object.entries(inputs).map(([name, [type, shape]]): Field => [11, valueInfo(name, type, shape)]),
      ...Object.entries(outputs).map(([name, port]): Field => [
        12,
        port ? valueInfo(name, ...port) : message([[1, name]]),
      ]),
    ])
  }

  #add(
    kind: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>>,
    outputs: readonly string[],
  ): void {
    this.#nodes.push(
      message([
        ...inputs.map((name): Field => [1, name]),
        ...outputs.map((name): Field => [2, name]),
        [4, kind],
        ...Object.entries(attributes).map(([name, value]): Field => [5, attribute(name, value)]),
      ]),
    )
  }

  #name(stem: string): string {
    return `${stem}_${this.#counter.count++}`
  }
}
