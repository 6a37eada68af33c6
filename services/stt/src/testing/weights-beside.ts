/** Models whose weights lie in a file of their own, as those of the hub that are too large for one. */
import { fieldsOf, GRAPH, mapFields, MODEL, textField, whole } from '../onnx-fields.ts'

/** In onnx.proto, of a constant. */
const [RAW, EXTERNAL] = [9, 13]
const LIES_ELSEWHERE = Uint8Array.of(14 << 3, 1)
/** Sizes of shapes are needed at once. */
const LEAST_BYTES = 1000

/** The model in `file` without its weights, which are to lie beside it under `location`. */
export function splitWeights(file: Uint8Array, location: string): { file: Uint8Array; weights: Uint8Array } {
  const weights: Uint8Array[] = []
  let offset = 0
  const entry = (key: string, value: string) =>
    textField(EXTERNAL, Buffer.concat([textField(1, key), textField(2, value)]).toString('latin1'))
  const split = (constant: Uint8Array) => {
    const fields = [...fieldsOf(constant)]
    const raw = fields.find(({ number }) => number === RAW)
    if (!raw || raw.value.length < LEAST_BYTES) return constant
    const place = { location, offset: `${offset}`, length: `${raw.value.length}` }
    weights.push(raw.value)
    offset += raw.value.length
    const rest = fields.filter((field) => field !== raw).map((field) => whole(constant, field))
    return Buffer.concat([...rest, ...Object.entries(place).map(([key, value]) => entry(key, value)), LIES_ELSEWHERE])
  }
  const changed = mapFields(file, MODEL.graph, (graph) => mapFields(graph, GRAPH.initializer, split))
  return { file: changed, weights: Buffer.concat(weights) }
}
