/**
 * Makes an encoder that always hears 30 s hear less. Such an export adds a table of 1500 positions to whatever comes; here the file is
 * changed so that it adds as many of them as there are. Everything else in it stays as it is, byte for byte.
 */
import {
  changeGraph,
  fieldsOf,
  GRAPH,
  intConstant,
  mapFields,
  node,
  readTensor,
  textField,
  whole,
  withInput,
} from './onnx-fields.ts'
import type { Field, GraphNode } from './onnx-fields.ts'

const POSITIONS = 1500

/**
 * The file with a window of any length; null when it has no such table, or adds it in a way that is not known here. Whether the rest bears a
 * shorter window, only a run tells.
 */
export function openWindow(file: Uint8Array): Uint8Array | null {
  return changeGraph(file, ({ bytes, fields, nodes }) => {
    const constants = fields.filter(({ number }) => number === GRAPH.initializer).map(({ value }) => readTensor(value))
    const tables = new Set(constants.filter(isTable).map(({ name }) => name))
    const [adder, ...others] = nodes.filter(
      ({ kind, inputs }) => kind === 'Add' && inputs.some((name) => tables.has(name)),
    )
    if (!adder || others.length > 0) return null
    const changed = (field: Field): Uint8Array[] => {
      if (field === adder.field) return slicedAdder(adder, tables)
      if (field.number === GRAPH.valueInfo) return [] // tells of 30 s
      if (field.number !== GRAPH.input && field.number !== GRAPH.output) return [whole(bytes, field)]
      return [mapFields(whole(bytes, field), field.number, freed)]
    }
    return { parts: [...fields.flatMap(changed), ...CONSTANTS] }
  })
}

/** A table of positions: [1500, width], or with a 1 in front. */
function isTable({ sizes }: { readonly sizes: readonly number[] }): boolean {
  const shape = sizes.filter((size, at) => at > 0 || size !== 1)
  return shape.length === 2 && shape[0] === POSITIONS
}

const NAMES = {
  shape: 'hearth_window_shape',
  length: 'hearth_window_length',
  rows: 'hearth_window_rows',
  zero: 'hearth_window_0',
  one: 'hearth_window_1',
  two: 'hearth_window_2',
  axis: 'hearth_window_axis',
}

/** The same addition, of as many rows of the table as the other side has: its second dimension. */
function slicedAdder(adder: GraphNode, tables: ReadonlySet<string>): Uint8Array[] {
  const [other = ''] = adder.inputs.filter((name) => !tables.has(name))
  const [table = ''] = adder.inputs.filter((name) => tables.has(name))
  return [
    node('Shape', [other], NAMES.shape),
    node('Slice', [NAMES.shape, NAMES.one, NAMES.two, NAMES.zero], NAMES.length),
    // From the end, as the table may have a 1 in front.
    node('Slice', [table, NAMES.zero, NAMES.length, NAMES.axis], NAMES.rows),
    withInput(adder, table, NAMES.rows),
  ]
}

const CONSTANTS = [
  intConstant(NAMES.zero, 0),
  intConstant(NAMES.one, 1),
  intConstant(NAMES.two, 2),
  intConstant(NAMES.axis, -2),
]

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
