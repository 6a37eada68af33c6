/** Layers that speech models have in common, with random weights that are the same each time. */
import { Graph } from './onnx-writer.ts'
import type { Ports } from './onnx-writer.ts'

export type LayerShape = { readonly width: number; readonly heads: number }

type Weight = {
  /** Else the graph finds one. */
  readonly name?: string
  readonly deviation?: number
}
type Linear = { readonly isBiased?: boolean; readonly name?: string; readonly deviation?: number }
type Norm = { readonly isBiased?: boolean; readonly name?: string; readonly output?: string }

export class Layers {
  readonly graph = new Graph()
  readonly shape: LayerShape
  #seed = 1

  constructor(shape: LayerShape) {
    this.shape = shape
  }

  /** Normally distributed around 0. */
  weight(shape: readonly number[], { name, deviation = 0.02 }: Weight = {}): string {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1))
    for (let at = 0; at < values.length; at++) values[at] = deviation * this.#normal()
    return this.graph.constant(values, shape, name)
  }

  filled(value: number, shape: readonly number[], name?: string): string {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value)
    return this.graph.constant(values, shape, name)
  }

  /** The sum of four even numbers: near enough, and quick. */
  #normal(): number {
    let sum = 0
    for (let count = 0; count < 4; count++) {
      this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0
      sum += this.#seed / 2 ** 32 - 0.5
    }
    return sum * Math.sqrt(3)
  }

  linear(x: string, from: number, to: number, { isBiased = true, name, deviation }: Linear = {}): string {
    const options = { ...(deviation !== undefined && { deviation }) }
    const weight = this.weight([from, to], { ...options, ...(name !== undefined && { name: `${name}.weight` }) })
    const product = this.graph.op('MatMul', [x, weight])
    if (!isBiased) return product
    const bias = this.weight([to], { ...options, ...(name !== undefined && { name: `${name}.bias` }) })
    return this.graph.op('Add', [product, bias])
  }

  norm(x: string, { isBiased = true, name, output }: Norm = {}): string {
    const { width } = this.shape
    const scale = this.filled(1, [width], name === undefined ? undefined : `${name}.weight`)
    const inputs = [x, scale, ...(isBiased ? [this.filled(0, [width])] : [])]
    return this.graph.op('LayerNormalization', inputs, { axis: -1, epsilon: { float: 1e-5 } }, output)
  }

  gelu(x: string): string {
    const { graph } = this
    const error = graph.op('Erf', [graph.op('Mul', [x, graph.scalar(Math.SQRT1_2, 'float')])])
    const half = graph.op('Mul', [x, graph.scalar(0.5, 'float')])
    return graph.op('Mul', [half, graph.op('Add', [error, graph.scalar(1, 'float')])])
  }

  /** [rows, tokens, width] to [rows, heads, tokens, width of a head]. */
  split(x: string): string {
    const shape = this.graph.ints(0, 0, this.shape.heads, this.shape.width / this.shape.heads)
    return this.graph.op('Transpose', [this.graph.op('Reshape', [x, shape])], { perm: [0, 2, 1, 3] })
  }

  /** What the heads see, side by side: [rows, tokens, width]. */
  attend(q: string, k: string, v: string, mask?: string): string {
    const { graph } = this
    const scaled = graph.op('Mul', [q, graph.scalar((this.shape.width / this.shape.heads) ** -0.5, 'float')])
    const scores = graph.op('MatMul', [scaled, graph.op('Transpose', [k], { perm: [0, 1, 3, 2] })])
    const masked = mask === undefined ? scores : graph.op('Add', [scores, mask])
    const mixed = graph.op('MatMul', [graph.op('Softmax', [masked], { axis: -1 }), v])
    return graph.op('Reshape', [
      graph.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
      graph.ints(0, 0, this.shape.width),
    ])
  }

  add(x: string, y: string): string {
    return this.graph.op('Add', [x, y])
  }

  /** One number of a shape. */
  size(x: string, axis: number): string {
    const { graph } = this
    const part = graph.op('Slice', [graph.op('Shape', [x]), graph.ints(axis), graph.ints(axis + 1), graph.ints(0)])
    return graph.op('Squeeze', [part, graph.ints(0)])
  }

  /** -1e9 where a token would look at a later one: [tokens, all tokens], of `fresh` tokens after `past` ones. */
  causalMask(places: string, past: string, fresh: string): string {
    const { graph } = this
    const hidden = graph.op('Greater', [
      graph.op('Unsqueeze', [range(graph, graph.op('Add', [past, fresh])), graph.ints(0)]),
      graph.op('Unsqueeze', [places, graph.ints(1)]),
    ])
    return graph.op('Mul', [graph.op('Cast', [hidden], { to: 1 }), graph.scalar(-1e9, 'float')])
  }
}

/** 0, 1, ... below `length`. */
export const range = (graph: Graph, length: string): string =>
  graph.op('Range', [graph.scalar(0, 'int64'), length, graph.scalar(1, 'int64')])

const PARTS = ['key', 'value'] as const

type Place = { readonly layer: number; readonly condition: string }
type KeysAndValues = readonly [key: string, value: string]

const portName = (kind: string, layer: number, side: string, part: string) => `${kind}.${layer}.${side}.${part}`

/** Keys and values of what is written: the cache's (while it is used), and the new ones behind them. */
export function withPast(graph: Graph, { layer, condition }: Place, fresh: KeysAndValues): KeysAndValues {
  const outputs = PARTS.map((part) => portName('present', layer, 'decoder', part))
  graph.when(
    condition,
    (branch) =>
      PARTS.map((part, at) =>
        branch.op('Concat', [portName('past_key_values', layer, 'decoder', part), fresh[at] ?? ''], { axis: 2 }),
      ),
    (branch) => fresh.map((name) => branch.op('Identity', [name])),
    outputs,
  )
  const [key = '', value = ''] = outputs
  return [key, value]
}

/**
 * Keys and values of the sound: made on the first step, and taken from the cache after it. Then the output of that name is empty, as optimum's
 * merged decoders leave it.
 */
export function ofSound(
  layers: Layers,
  { layer, condition }: Place,
  make: (branch: Graph) => readonly string[],
): KeysAndValues {
  const { graph, shape } = layers
  const [key, value] = [`sound.${layer}.key`, `sound.${layer}.value`]
  graph.when(
    condition,
    (branch) => {
      const past = PARTS.map((part) => branch.op('Identity', [portName('past_key_values', layer, 'encoder', part)]))
      const none = () => branch.constant(new Float32Array(), [0, shape.heads, 1, shape.width / shape.heads])
      return [...past, none(), none()]
    },
    (branch) => {
      const made = make(branch)
      return [...made, ...made.map((name) => branch.op('Identity', [name]))]
    },
    [key, value, ...PARTS.map((part) => portName('present', layer, 'encoder', part))],
  )
  return [key, value]
}

/** The cache's inputs (`past_key_values`) or outputs (`present`) of all layers; the decoder's own are `length` long. */
export function cachePorts(
  prefix: string,
  length: string,
  { layers, heads, headWidth }: { layers: number; heads: number; headWidth: number },
): Ports {
  const sides = [
    ['decoder', length],
    ['encoder', 'encoder_sequence_length_out'],
  ] as const
  const names = Array.from({ length: layers }, (_, layer) =>
    sides.flatMap(([side, size]) => PARTS.map((part) => [portName(prefix, layer, side, part), size] as const)),
  )
  return Object.fromEntries(
    names.flat().map(([name, size]) => [name, ['float', ['batch_size', heads, size, headWidth]]]),
  )
}
