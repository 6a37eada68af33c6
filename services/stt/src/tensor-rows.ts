/** Tensors of 32-bit floats whose first dimension is rows. */
import { Tensor } from 'onnxruntime-node'

/** The rows of all, in order; but for their number they have one shape. */
export function concat(tensors: readonly Tensor[]): Tensor {
  const [, ...shape] = tensors[0]?.dims ?? []
  const size = shape.reduce((product, length) => product * length, 1)
  const rows = tensors.reduce((sum, { dims }) => sum + (dims[0] ?? 0), 0)
  const data = new Float32Array(rows * size)
  let at = 0
  for (const tensor of tensors) {
    data.set(floatsOf(tensor), at)
    at += tensor.size
  }
  return new Tensor('float32', data, [rows, ...shape])
}

/** Throws when they are of another type. */
export function floatsOf({ data }: Tensor): Float32Array {
  if (!(data instanceof Float32Array)) throw new Error('expected rows of float32')
  return data
}

/** Some of the rows, in that order; all of them are no copy. */
export function select(tensor: Tensor, rows: readonly number[]): Tensor {
  const [count = 0, ...shape] = tensor.dims
  if (rows.length === count && rows.every((row, at) => row === at)) return tensor
  const data = floatsOf(tensor)
  const size = data.length / count
  const selected = new Float32Array(rows.length * size)
  for (const [at, row] of rows.entries()) selected.set(data.subarray(row * size, (row + 1) * size), at * size)
  return new Tensor('float32', selected, [rows.length, ...shape])
}

/**
 * Gives memory back at once. What a step makes is megabytes for each row: left to the garbage collector, it wakes for each batch, and its
 * threads have the usual priority (docs/decisions/0025).
 */
export function free(used: readonly (Tensor | Uint8Array | Float32Array)[]): void {
  for (const each of used) {
    const { buffer, byteLength } = 'dims' in each ? floatsOf(each) : each
    // Small buffers of Node's share one piece of memory.
    const isItsOwn = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    if (isItsOwn && !buffer.detached) buffer.transfer(0)
  }
}
