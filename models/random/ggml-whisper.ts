/**
 * Whisper of the real shapes with random weights as one file of whisper.cpp (its `ggml` format: sizes, mel filters, words, tensors), matrices in
 * 16 bits as in the files that people download for it. What it costs is what the real one costs.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { WHISPER_SHAPES } from './whisper.ts'
import type { WhisperShape } from './whisper.ts'

const MAGIC = 0x67_67_6d_6c
const [FLOAT32, FLOAT16] = [0, 1] as const
const VOCABULARY = 51_865
/** The words before the special ones: those it names itself. */
const WORDS = 50_257
/** It looks for the word that is a space. */
const SPACE = 220
/** The decoder has 448; random words never end, and are cut at half of these. */
const POSITIONS = { encoder: 1500, decoder: 64 }
const MELS = 80
const BINS = 201

/** The file of the model, made if it is not there. */
export async function ggmlWhisper(folder: string, size: keyof typeof WHISPER_SHAPES): Promise<string> {
  const file = join(folder, `ggml-whisper-${size}.bin`)
  if (existsSync(file)) return file
  await mkdir(folder, { recursive: true })
  await writeFile(file, encoded(WHISPER_SHAPES[size]))
  return file
}

function encoded(shape: WhisperShape): Uint8Array {
  const { width, layers, heads } = shape
  const sides = [POSITIONS.encoder, POSITIONS.decoder].flatMap((positions) => [positions, width, heads, layers])
  const filters = new Float32Array(MELS * BINS).fill(1 / BINS)
  const words = Array.from({ length: WORDS }, (_, id) => {
    const text = Buffer.from(id === SPACE ? ' ' : ` t${id}`)
    return Buffer.concat([ints(text.length), text])
  })
  return Buffer.concat([
    ints(MAGIC, VOCABULARY, ...sides, MELS, FLOAT16),
    ints(MELS, BINS),
    new Uint8Array(filters.buffer),
    ints(WORDS),
    ...words,
    ...tensors(shape).map(tensor),
  ])
}

/** Sizes as torch has them, the last one running fastest. Vectors and tables of positions stay in 32 bits. */
type Tensor = { readonly name: string; readonly shape: readonly number[]; readonly isWide?: boolean }

function tensors({ width, layers }: WhisperShape): Tensor[] {
  const each = Array.from({ length: layers }, (_, layer) => layer)
  return [
    { name: 'encoder.positional_embedding', shape: [POSITIONS.encoder, width], isWide: true },
    ...convolution('encoder.conv1', MELS, width),
    ...convolution('encoder.conv2', width, width),
    ...norm('encoder.ln_post', width),
    ...each.flatMap((layer) => block(`encoder.blocks.${layer}`, width, ['attn'])),
    { name: 'decoder.positional_embedding', shape: [POSITIONS.decoder, width], isWide: true },
    { name: 'decoder.token_embedding.weight', shape: [VOCABULARY, width] },
    ...norm('decoder.ln', width),
    ...each.flatMap((layer) => block(`decoder.blocks.${layer}`, width, ['attn', 'cross_attn'])),
  ]
}

const convolution = (name: string, from: number, to: number): Tensor[] => [
  { name: `${name}.weight`, shape: [to, from, 3] },
  { name: `${name}.bias`, shape: [to, 1], isWide: true },
]

const norm = (name: string, width: number): Tensor[] => [
  { name: `${name}.weight`, shape: [width] },
  { name: `${name}.bias`, shape: [width] },
]

const linear = (name: string, from: number, to: number): Tensor[] => [
  { name: `${name}.weight`, shape: [to, from] },
  { name: `${name}.bias`, shape: [to] },
]

const block = (name: string, width: number, attentions: readonly string[]): Tensor[] => [
  ...attentions.flatMap((attention) => [
    ...norm(`${name}.${attention}_ln`, width),
    ...linear(`${name}.${attention}.query`, width, width),
    { name: `${name}.${attention}.key.weight`, shape: [width, width] },
    ...linear(`${name}.${attention}.value`, width, width),
    ...linear(`${name}.${attention}.out`, width, width),
  ]),
  ...norm(`${name}.mlp_ln`, width),
  ...linear(`${name}.mlp.0`, width, 4 * width),
  ...linear(`${name}.mlp.2`, 4 * width, width),
]

function tensor({ name, shape, isWide }: Tensor): Uint8Array {
  const type = shape.length === 1 || isWide ? FLOAT32 : FLOAT16
  const size = shape.reduce((product, each) => product * each, 1)
  const values = type === FLOAT16 ? new Float16Array(size) : new Float32Array(size)
  for (let at = 0; at < size; at++) values[at] = 0.02 * Math.sin(at * at * 0.37 + size)
  const title = Buffer.from(name)
  const head = ints(shape.length, title.length, type, ...shape.toReversed())
  return Buffer.concat([head, title, new Uint8Array(values.buffer)])
}

const ints = (...values: readonly number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer)
