/**
 * A model of all-MiniLM-L6-v2's shape (6 layers, 384 wide, 12 heads, 1536 inner) with random weights, as a folder that any of the contenders can
 * load. Speed does not depend on what the weights are, and 90 MB need not be fetched. ONNX files are protocol buffers, written here by hand.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const LAYERS = 6
const WIDTH = 384
const HEADS = 12
const INNER = 1536
const POSITIONS = 512
const HEAD = WIDTH / HEADS
const OPSET = 17
const IR_VERSION = 8
const [FLOAT, INT64] = [1, 7]

/** --- protocol buffers: a field is its number and kind, then its bytes --- */
type Field = Buffer
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  do {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    bytes.push(rest > 0n ? low | 0x80 : low)
  } while (rest > 0n)
  return Buffer.from(bytes)
}
const whole = (field: number, value: number): Field => Buffer.concat([varint(field << 3), varint(value)])
const bytes = (field: number, content: Buffer): Field =>
  Buffer.concat([varint((field << 3) | 2), varint(content.length), content])
const text = (field: number, content: string): Field => bytes(field, Buffer.from(content))
const message = (field: number, fields: readonly Field[]): Field => bytes(field, Buffer.concat(fields))
function float32(field: number, value: number): Field {
  const content = Buffer.alloc(4)
  content.writeFloatLE(value)
  return Buffer.concat([varint((field << 3) | 5), content])
}

/** --- ONNX: nodes, constants, and how they are named --- */
type Attribute = number | readonly number[] | { readonly float: number }

class Graph {
  readonly nodes: Field[] = []
  readonly constants: Field[] = []
  #count = 0

  constant(data: Float32Array | BigInt64Array, shape: readonly number[]): string {
    const name = `c${this.#count++}`
    const kind = data instanceof Float32Array ? FLOAT : INT64
    const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const dims = shape.map((size) => whole(1, size))
    this.constants.push(message(5, [...dims, whole(2, kind), text(8, name), bytes(9, raw)]))
    return name
  }

  op(
    kind: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output = '',
  ): string {
    const name = output || `t${this.#count++}`
    const told = Object.entries(attributes).map(([key, value]) => message(5, [text(1, key), ...attribute(value)]))
    this.nodes.push(
      message(1, [...inputs.map((input) => text(1, input)), text(2, name), text(3, name), text(4, kind), ...told]),
    )
    return name
  }
}

function attribute(value: Attribute): Field[] {
  if (typeof value === 'number') return [whole(3, value), whole(20, 2)]
  if ('float' in value) return [float32(2, value.float), whole(20, 1)]
  return [...value.map((one) => whole(8, one)), whole(20, 7)]
}

/** The same numbers in every run, small enough for six layers to stay finite. */
let state = 1
function random(count: number, scale: number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state / 2 ** 31 - 1) * scale
  })
}

/** --- the encoder --- */
function encoder(vocabulary: number): Buffer {
  const graph = new Graph()
  const weight = (...shape: number[]) =>
    graph.constant(
      random(
        shape.reduce((a, b) => a * b),
        0.05,
      ),
      shape,
    )
  const shape = (...sizes: number[]) => graph.constant(BigInt64Array.from(sizes, BigInt), [sizes.length])
  const number = (value: number) => graph.constant(Float32Array.of(value), [])
  const norm = (input: string, output = '') => {
    const ones = graph.constant(new Float32Array(WIDTH).fill(1), [WIDTH])
    const zeros = graph.constant(new Float32Array(WIDTH), [WIDTH])
    return graph.op('LayerNormalization', [input, ones, zeros], { axis: -1, epsilon: { float: 1e-12 } }, output)
  }
  const linear = (input: string, from: number, to: number) =>
    graph.op('Add', [graph.op('MatMul', [input, weight(from, to)]), weight(to)])
  const heads = (input: string, order: readonly number[]) =>
    graph.op('Transpose', [graph.op('Reshape', [input, shape(0, 0, HEADS, HEAD)])], { perm: order })

  const words = graph.op('Gather', [weight(vocabulary, WIDTH), 'input_ids'])
  const types = graph.op('Gather', [weight(2, WIDTH), 'token_type_ids'])
  const length = graph.op('Gather', [graph.op('Shape', ['input_ids']), graph.constant(BigInt64Array.of(1n), [1])])
  const starts = graph.constant(BigInt64Array.of(0n), [1])
  const axis = graph.constant(BigInt64Array.of(0n), [1])
  const positions = graph.op('Slice', [weight(POSITIONS, WIDTH), starts, length, axis])
  const mask = graph.op('Cast', [graph.op('Unsqueeze', ['attention_mask', shape(1, 2)])], { to: FLOAT })
  const hidden = graph.op('Mul', [graph.op('Sub', [number(1), mask]), number(-1e9)])
  let states = norm(graph.op('Add', [graph.op('Add', [words, types]), positions]))
  for (let layer = 0; layer < LAYERS; layer++) {
    const query = heads(linear(states, WIDTH, WIDTH), [0, 2, 1, 3])
    const key = heads(linear(states, WIDTH, WIDTH), [0, 2, 3, 1])
    const value = heads(linear(states, WIDTH, WIDTH), [0, 2, 1, 3])
    const scores = graph.op('Div', [graph.op('MatMul', [query, key]), number(Math.sqrt(HEAD))])
    const shares = graph.op('Softmax', [graph.op('Add', [scores, hidden])], { axis: -1 })
    const mixed = graph.op('Transpose', [graph.op('MatMul', [shares, value])], { perm: [0, 2, 1, 3] })
    const joined = graph.op('Reshape', [mixed, shape(0, 0, WIDTH)])
    const attended = norm(graph.op('Add', [linear(joined, WIDTH, WIDTH), states]))
    const inner = linear(attended, WIDTH, INNER)
    const error = graph.op('Erf', [graph.op('Div', [inner, number(Math.SQRT2)])])
    const gelu = graph.op('Mul', [graph.op('Mul', [inner, graph.op('Add', [error, number(1)])]), number(0.5)])
    const sum = graph.op('Add', [linear(gelu, INNER, WIDTH), attended])
    states = norm(sum, layer === LAYERS - 1 ? 'last_hidden_state' : '')
  }
  return model(graph)
}

function model({ nodes, constants }: Graph): Buffer {
  const dimension = (name: string | number): Field =>
    message(1, [typeof name === 'string' ? text(2, name) : whole(1, name)])
  const tensor = (field: number, name: string, kind: number, sizes: readonly (string | number)[]): Field =>
    message(field, [text(1, name), message(2, [message(1, [whole(1, kind), message(2, sizes.map(dimension))])])])
  const inputs = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) =>
    tensor(11, name, INT64, ['rows', 'tokens']),
  )
  const output = tensor(12, 'last_hidden_state', FLOAT, ['rows', 'tokens', WIDTH])
  const graph = message(7, [...nodes, text(2, 'encoder'), ...constants, ...inputs, output])
  return Buffer.concat([whole(1, IR_VERSION), graph, message(8, [text(1, ''), whole(2, OPSET)])])
}

/** Writes the model into `folder`, with the tokenizer of the demo model in `demo`. */
export async function writeMiniLm(folder: string, demo: string): Promise<void> {
  await mkdir(join(folder, 'onnx'), { recursive: true })
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) await copyFile(join(demo, file), join(folder, file))
  const config = JSON.parse(await readFile(join(demo, 'config.json'), 'utf8')) as { vocab_size: number }
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: LAYERS }))
  await writeFile(join(folder, 'onnx', 'model.onnx'), encoder(config.vocab_size))
}
