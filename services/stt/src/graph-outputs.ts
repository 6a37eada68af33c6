/** What an ONNX file says that it gives, read past its weights: a few hundred short reads instead of all of its bytes. */
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { BYTES, EIGHT, GRAPH, MODEL, readVarint, VARINT } from './onnx-fields.ts'
import type { SpeechModelFiles } from './seq2seq.ts'

/** The name that exports with attentions give to those of each layer. */
export const ATTENTION = 'cross_attentions'

/** Whether the decoder in `dir` gives its cross-attentions, which word times need. False for what is no graph: loading it will tell. */
export async function hasAttentions({ dir, dtype }: Pick<SpeechModelFiles, 'dir' | 'dtype'>): Promise<boolean> {
  const file = dtype === 'q8' ? 'decoder_model_merged_quantized.onnx' : 'decoder_model_merged.onnx'
  const names = await outputNames(join(dir, 'onnx', file))
  return names.includes(`${ATTENTION}.0`)
}

/** Those that can be read; throws when the file is not there. */
export async function outputNames(path: string): Promise<string[]> {
  await using file = await open(path)
  const { size } = await file.stat()
  const read = windowOn(file)
  const names: string[] = []
  for await (const graph of partsOf(read, { start: 0, end: size }, MODEL.graph))
    for await (const output of partsOf(read, graph, GRAPH.output))
      for await (const { start, end } of partsOf(read, output, NAME))
        names.push(Buffer.from(await read(start, end - start)).toString('utf8'))
  return names
}

/** Of an output, in onnx.proto. */
const NAME = 1

type Part = { readonly start: number; readonly end: number }
type Read = (at: number, length: number) => Promise<Uint8Array>

/** More than a field's number and length take. */
const HEAD_BYTES = 20
/** Small parts lie side by side. */
const WINDOW_BYTES = 4096

/** Reads of the file, most of them from what the one before brought. */
function windowOn(file: FileHandle): Read {
  const bytes = Buffer.alloc(WINDOW_BYTES)
  let held = { start: 0, end: 0 }
  return async (at, length) => {
    if (length > WINDOW_BYTES) return (await file.read(Buffer.alloc(length), 0, length, at)).buffer
    if (at < held.start || at + length > held.end) {
      const { bytesRead } = await file.read(bytes, 0, WINDOW_BYTES, at)
      held = { start: at, end: at + bytesRead }
    }
    return bytes.subarray(at - held.start, Math.min(at + length, held.end) - held.start)
  }
}

/** Where the fields of that number lie in a message; those before what can't be read. */
async function* partsOf(read: Read, message: Part, number: number): AsyncGenerator<Part> {
  for (let at = message.start; at < message.end;) {
    const field = fieldAt(await read(at, Math.min(HEAD_BYTES, message.end - at)), at)
    if (!field || field.end > message.end) return
    if (field.number === number && field.wire === BYTES) yield field
    at = field.end
  }
}

function fieldAt(head: Uint8Array, at: number): (Part & { number: number; wire: number }) | null {
  try {
    const key = readVarint(head, 0)
    const wire = key.value & 7
    const { value: length, end } = wire === VARINT || wire === BYTES ? readVarint(head, key.end) : key
    const start = at + (wire === BYTES ? end : key.end)
    const size = wire === BYTES ? length : wire === VARINT ? end - key.end : wire === EIGHT ? 8 : 4
    return { number: Math.floor(key.value / 8), wire, start, end: start + size }
  } catch {
    return null
  }
}
