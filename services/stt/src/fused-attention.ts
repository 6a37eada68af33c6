/**
 * Makes an encoder's attention one operation. Exports write it as a product, a softmax and a product, and the scores of a window of 30 s are
 * 1500 x 1500 numbers for each head: most of what the encoder writes to memory. The runtime has an operator that goes through them in blocks
 * that fit the cache (FlashAttention-2, arXiv 2307.08691), and finds no such pattern in speech models by itself.
 */
import { changeGraph, GRAPH, intConstant, nameOf, node, readTensor, whole } from './onnx-fields.ts'
import type { Field, Graph, GraphNode } from './onnx-fields.ts'

/** Where the operator lives. */
const DOMAIN = 'com.microsoft'

type Attention = {
  /** Queries times keys, the keys with their last two dimensions exchanged. */
  readonly scores: GraphNode
  /** The scores times (or divided by) one number. */
  readonly scaling: GraphNode | undefined
  readonly softmax: GraphNode
  /** The softmax of the scores times the values. */
  readonly mixed: GraphNode
  /** Dimensions of all of these: [rows x heads, positions, width of a head] or [rows, heads, positions, width of a head]. */
  readonly rank: 3 | 4
}

/** The file with each attention as one node; null when there is none without a mask in a form that is known here. The sums have another order. */
export function fuseAttention(file: Uint8Array): Uint8Array | null {
  return changeGraph(file, (graph) => {
    const found = attentionsOf(graph)
    if (found.length === 0) return null
    const gone = new Set(
      found.flatMap(({ scores, scaling, softmax }) => [scores, scaling, softmax].map((each) => each?.field)),
    )
    const fused = new Map(found.map((attention, at) => [attention.mixed.field, fusedNodes(attention, at)]))
    const changed = (field: Field) => (gone.has(field) ? [] : (fused.get(field) ?? [whole(graph.bytes, field)]))
    return { parts: [...graph.fields.flatMap(changed), ...CONSTANTS], domain: DOMAIN }
  })
}

function attentionsOf(graph: Graph): Attention[] {
  const { nodes } = graph
  // A branch may use names of the graph around it unseen.
  if (nodes.some(({ attributes }) => [...attributes.values()].some(({ isGraph }) => isGraph))) return []
  const makers = new Map(nodes.flatMap((each) => each.outputs.map((name) => [name, each] as const)))
  const users = usersOf(graph)
  const numbers = numbersOf(graph)
  return nodes
    .filter(({ kind }) => kind === 'Softmax')
    .flatMap((softmax) => attentionAt(softmax, { makers, users, numbers }))
}

type Links = {
  readonly makers: ReadonlyMap<string, GraphNode>
  /** A null is the graph's own output. */
  readonly users: ReadonlyMap<string, readonly (GraphNode | null)[]>
  /** Names of constants of one number. */
  readonly numbers: ReadonlySet<string>
}

function attentionAt(softmax: GraphNode, { makers, users, numbers }: Links): Attention[] {
  const before = makers.get(softmax.inputs[0] ?? '')
  const isScaled = before?.kind === 'Mul' || before?.kind === 'Div'
  const scaling = isScaled && numbers.has(before.inputs[1] ?? '') ? before : undefined
  const scores = scaling ? makers.get(scaling.inputs[0] ?? '') : before
  const [mixed, ...others] = users.get(softmax.outputs[0] ?? '') ?? []
  if (scores?.kind !== 'MatMul' || mixed?.kind !== 'MatMul' || others.length > 0) return []
  const isElsewhere = [scores, scaling].some((each) => each && users.get(each.outputs[0] ?? '')?.length !== 1)
  const rank = rankOf(scores.inputs[1] ?? '', makers)
  const axis = softmax.attributes.get('axis')?.ints[0]
  const isLast = axis === -1 || axis === (rank ?? 0) - 1
  if (isElsewhere || !isLast || rank === null || mixed.inputs[0] !== softmax.outputs[0]) return []
  return [{ scores, scaling, softmax, mixed, rank }]
}

function usersOf({ nodes, fields }: Graph): Map<string, (GraphNode | null)[]> {
  const users = new Map<string, (GraphNode | null)[]>()
  const add = (name: string, user: GraphNode | null) => users.set(name, [...(users.get(name) ?? []), user])
  for (const each of nodes) for (const name of each.inputs) add(name, each)
  for (const { number, value } of fields) if (number === GRAPH.output) add(nameOf(value), null)
  return users
}

function numbersOf({ fields, nodes }: Graph): Set<string> {
  const constants = fields.filter(({ number }) => number === GRAPH.initializer).map(({ value }) => readTensor(value))
  const inNodes = nodes.flatMap(({ kind, outputs: [name = ''], attributes }) => {
    const tensor = kind === 'Constant' ? attributes.get('value')?.tensor : undefined
    return tensor ? [{ name, sizes: readTensor(tensor).sizes }] : []
  })
  return new Set([...constants, ...inNodes].filter(({ sizes }) => sizes.length === 0).map(({ name }) => name))
}

/** Of keys that were transposed, perhaps scaled since; null when that can not be seen. */
function rankOf(name: string, makers: Links['makers']): 3 | 4 | null {
  const maker = makers.get(name)
  if (maker?.kind === 'Mul') return rankOf(maker.inputs[0] ?? '', makers)
  const rank = maker?.kind === 'Transpose' ? maker.attributes.get('perm')?.ints.length : undefined
  return rank === 3 || rank === 4 ? rank : null
}

const NAMES = {
  zero: 'hearth_attention_0',
  two: 'hearth_attention_2',
  four: 'hearth_attention_4',
  rest: 'hearth_attention_rest',
}
const CONSTANTS = [
  intConstant(NAMES.zero, 0),
  intConstant(NAMES.two, 2),
  intConstant(NAMES.four, 4),
  intConstant(NAMES.rest, -1),
]

/** The operator takes [rows, positions, width]: heads are rows to it, of one head each. */
function fusedNodes({ scores, scaling, mixed, rank }: Attention, at: number): Uint8Array[] {
  const name = (part: string) => `hearth_attention_${at}_${part}`
  const [query = '', keys = ''] = scores.inputs
  const [, values = ''] = mixed.inputs
  const [result = ''] = mixed.outputs
  const scaled = scaling ? [node(scaling.kind, [query, scaling.inputs[1] ?? ''], name('scaled'))] : []
  const asked = scaling ? name('scaled') : query
  const perm = rank === 3 ? [0, 2, 1] : [0, 1, 3, 2]
  const turned = node('Transpose', [keys], name('key'), { attributes: { perm } })
  const attend = (inputs: readonly string[], output: string) =>
    node('MultiHeadAttention', inputs, output, { domain: DOMAIN, attributes: { num_heads: 1, scale: { float: 1 } } })
  if (rank === 3) return [...scaled, turned, attend([asked, name('key'), values], result)]
  const parts = [asked, name('key'), values]
  const rows = parts.map((_, part) => name(`rows_${part}`))
  return [
    ...scaled,
    turned,
    ...parts.flatMap((part, index) => asRows(part, rows[index] ?? '')),
    attend(rows, name('mixed')),
    node('Shape', [asked], name('shape')),
    node('Reshape', [name('mixed'), name('shape')], result),
  ]
}

/** [rows, heads, positions, width] as [rows x heads, positions, width]. */
const asRows = (from: string, to: string): Uint8Array[] => [
  node('Shape', [from], `${to}_shape`),
  node('Slice', [`${to}_shape`, NAMES.two, NAMES.four, NAMES.zero], `${to}_sizes`),
  node('Concat', [NAMES.rest, `${to}_sizes`], `${to}_wanted`, { attributes: { axis: 0 } }),
  node('Reshape', [from, `${to}_wanted`], to),
]
