/**
 * Whisper of the real shapes with random weights, in the layout and graph structure of the hub's exports: what it costs is what the real one
 * costs, and what it says is nothing. Made on demand into an ignored folder.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Graph } from './onnx-writer.ts'
import type { Ports } from './onnx-writer.ts'

export type WhisperShape = { readonly width: number; readonly layers: number; readonly heads: number }

export const WHISPER_SHAPES = {
  tiny: { width: 384, layers: 4, heads: 6 },
  base: { width: 512, layers: 6, heads: 8 },
} as const satisfies Record<string, WhisperShape>

const VOCABULARY = 51_865
const POSITIONS = { encoder: 1500, decoder: 448 }
const MELS = 80

/** The folder of the model, made if it is not there. `isFitted`: the encoder takes any length, else 30 s as the hub's. */
export async function randomWhisper(
  folder: string,
  size: keyof typeof WHISPER_SHAPES,
  isFitted: boolean,
): Promise<string> {
  const dir = join(folder, `whisper-${size}${isFitted ? '-fitted' : ''}`)
  if (existsSync(join(dir, 'tokenizer_config.json'))) return dir
  const shape = WHISPER_SHAPES[size]
  await mkdir(join(dir, 'onnx'), { recursive: true })
  await writeFile(join(dir, 'onnx/encoder_model.onnx'), randomEncoder(shape, isFitted))
  await writeFile(join(dir, 'onnx/decoder_model_merged.onnx'), decoder(shape))
  for (const [name, value] of Object.entries(configs(shape))) await writeFile(join(dir, name), JSON.stringify(value))
  return dir
}

/** A graph with Whisper's layers. Weights are N(0, 0.02), always the same. */
class Layers {
  readonly graph = new Graph()
  readonly shape: WhisperShape
  #seed = 1

  constructor(shape: WhisperShape) {
    this.shape = shape
  }

  weight(...shape: number[]): string {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1))
    for (let at = 0; at < values.length; at++) values[at] = 0.02 * this.#normal()
    return this.graph.constant(values, shape)
  }

  filled(value: number, ...shape: number[]): string {
    return this.graph.constant(new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value), shape)
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

  linear(x: string, from: number, to: number): string {
    const product = this.graph.op('MatMul', [x, this.weight(from, to)])
    return this.graph.op('Add', [product, this.weight(to)])
  }

  norm(x: string, output?: string): string {
    const { width } = this.shape
    const inputs = [x, this.filled(1, width), this.filled(0, width)]
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

  attend(q: string, k: string, v: string, mask?: string): string {
    const { graph } = this
    const scaled = graph.op('Mul', [q, graph.scalar((this.shape.width / this.shape.heads) ** -0.5, 'float')])
    const scores = graph.op('MatMul', [scaled, graph.op('Transpose', [k], { perm: [0, 1, 3, 2] })])
    const masked = mask === undefined ? scores : graph.op('Add', [scores, mask])
    const mixed = graph.op('MatMul', [graph.op('Softmax', [masked], { axis: -1 }), v])
    const merged = graph.op('Reshape', [
      graph.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
      graph.ints(0, 0, this.shape.width),
    ])
    return this.linear(merged, this.shape.width, this.shape.width)
  }

  add(x: string, y: string): string {
    return this.graph.op('Add', [x, y])
  }

  feedForward(x: string): string {
    const { width } = this.shape
    return this.add(x, this.linear(this.gelu(this.linear(this.norm(x), width, 4 * width)), 4 * width, width))
  }

  /** One number of a shape. */
  size(x: string, axis: number): string {
    const { graph } = this
    const part = graph.op('Slice', [graph.op('Shape', [x]), graph.ints(axis), graph.ints(axis + 1), graph.ints(0)])
    return graph.op('Squeeze', [part, graph.ints(0)])
  }
}

/** The encoder's file alone, of any shape. */
export function randomEncoder(shape: WhisperShape, isFitted: boolean): Uint8Array<ArrayBuffer> {
  const layers = new Layers(shape)
  const { graph } = layers
  const { width } = shape
  const conv = (x: string, from: number, strides: number) =>
    layers.gelu(
      graph.op('Conv', [x, layers.weight(width, from, 3), layers.weight(width)], { pads: [1, 1], strides: [strides] }),
    )
  let x = graph.op('Transpose', [conv(conv('input_features', MELS, 1), width, 2)], { perm: [0, 2, 1] })
  const table = layers.weight(POSITIONS.encoder, width)
  const length = graph.op('Unsqueeze', [layers.size(x, 1), graph.ints(0)])
  x = layers.add(x, isFitted ? graph.op('Slice', [table, graph.ints(0), length, graph.ints(0)]) : table)
  for (let layer = 0; layer < shape.layers; layer++) {
    const y = layers.norm(x)
    const [q = '', k = '', v = ''] = [0, 1, 2].map(() => layers.split(layers.linear(y, width, width)))
    x = layers.feedForward(layers.add(x, layers.attend(q, k, v)))
  }
  layers.norm(x, 'last_hidden_state')
  return graph.model(
    { input_features: ['float', ['batch_size', MELS, 'sequence_length']] },
    { last_hidden_state: ['float', ['batch_size', 'encoder_sequence_length', width]] },
  )
}

function decoder(shape: WhisperShape): Uint8Array {
  const layers = new Layers(shape)
  const { graph } = layers
  const { width, heads } = shape
  const cached = graph.op('Squeeze', ['use_cache_branch', graph.ints(0)])
  const counted = graph.op('Cast', [cached], { to: 7 })
  const past = graph.op('Mul', [layers.size('past_key_values.0.decoder.key', 2), counted])
  const fresh = layers.size('input_ids', 1)
  const range = (length: string) => graph.op('Range', [graph.scalar(0, 'int64'), length, graph.scalar(1, 'int64')])
  const places = graph.op('Add', [range(fresh), past])
  const hidden = graph.op('Greater', [
    graph.op('Unsqueeze', [range(graph.op('Add', [past, fresh])), graph.ints(0)]),
    graph.op('Unsqueeze', [places, graph.ints(1)]),
  ])
  const mask = graph.op('Mul', [graph.op('Cast', [hidden], { to: 1 }), graph.scalar(-1e9, 'float')])
  const table = layers.weight(VOCABULARY, width)
  let x = layers.add(
    graph.op('Gather', [table, 'input_ids']),
    graph.op('Gather', [layers.weight(POSITIONS.decoder, width), places]),
  )
  for (let layer = 0; layer < shape.layers; layer++) x = decoderLayer(layers, x, { layer, cached, mask })
  graph.op('MatMul', [layers.norm(x), graph.op('Transpose', [table], { perm: [1, 0] })], {}, 'logits')
  const state = (length: string) => ['float', ['batch_size', heads, length, width / heads]] as const
  const names = Array.from({ length: shape.layers }, (_, layer) => layer).flatMap((layer) =>
    ['decoder', 'encoder'].flatMap((side) =>
      ['key', 'value'].map((kind) => ({ side, name: `${layer}.${side}.${kind}` })),
    ),
  )
  const ports = (prefix: string, own: string): Ports =>
    Object.fromEntries(
      names.map(({ side, name }) => [
        `${prefix}.${name}`,
        state(side === 'decoder' ? own : 'encoder_sequence_length_out'),
      ]),
    )
  return graph.model(
    {
      input_ids: ['int64', ['batch_size', 'decoder_sequence_length']],
      encoder_hidden_states: ['float', ['batch_size', 'encoder_sequence_length', width]],
      ...ports('past_key_values', 'past_decoder_sequence_length'),
      use_cache_branch: ['bool', [1]],
    },
    {
      logits: ['float', ['batch_size', 'decoder_sequence_length', VOCABULARY]],
      ...ports('present', 'total_decoder_sequence_length'),
    },
  )
}

/** Keys and values of the sound are made on the first step and taken from the cache after it. */
function decoderLayer(
  layers: Layers,
  x: string,
  { layer, cached, mask }: { layer: number; cached: string; mask: string },
): string {
  const { graph } = layers
  const { width } = layers.shape
  const name = (kind: string, side: string, part: string) => `${kind}.${layer}.${side}.${part}`
  const y = layers.norm(x)
  const [q = '', k = '', v = ''] = [0, 1, 2].map(() => layers.split(layers.linear(y, width, width)))
  const own = { key: k, value: v }
  const parts = ['key', 'value'] as const
  graph.when(
    cached,
    (branch) =>
      parts.map((part) => branch.op('Concat', [name('past_key_values', 'decoder', part), own[part]], { axis: 2 })),
    (branch) => parts.map((part) => branch.op('Identity', [own[part]])),
    parts.map((part) => name('present', 'decoder', part)),
  )
  let z = layers.add(x, layers.attend(q, name('present', 'decoder', 'key'), name('present', 'decoder', 'value'), mask))
  const weights = parts.map(() => [layers.weight(width, width), layers.weight(width)] as const)
  const headed = [layers.shape.heads, width / layers.shape.heads] as const
  graph.when(
    cached,
    (branch) => parts.map((part) => branch.op('Identity', [name('past_key_values', 'encoder', part)])),
    (branch) =>
      weights.map(([weight, bias]) => {
        const made = branch.op('Add', [branch.op('MatMul', ['encoder_hidden_states', weight]), bias])
        return branch.op('Transpose', [branch.op('Reshape', [made, branch.ints(0, 0, ...headed)])], {
          perm: [0, 2, 1, 3],
        })
      }),
    parts.map((part) => name('present', 'encoder', part)),
  )
  const question = layers.split(layers.linear(layers.norm(z), width, width))
  z = layers.add(z, layers.attend(question, name('present', 'encoder', 'key'), name('present', 'encoder', 'value')))
  return layers.feedForward(z)
}

/** As OpenAI's multilingual models have them. */
const TOKENS = {
  end: 50_257,
  start: 50_258,
  english: 50_259,
  translate: 50_358,
  transcribe: 50_359,
  previous: 50_361,
  still: 50_363,
}

function configs({ width, layers, heads }: WhisperShape): Record<string, unknown> {
  const ids = {
    decoder_start_token_id: TOKENS.start,
    bos_token_id: TOKENS.end,
    eos_token_id: TOKENS.end,
    pad_token_id: TOKENS.end,
  }
  const languages = { '<|en|>': TOKENS.english, '<|zh|>': TOKENS.english + 1, '<|de|>': TOKENS.english + 2 }
  return {
    'config.json': {
      ...ids,
      architectures: ['WhisperForConditionalGeneration'],
      model_type: 'whisper',
      is_encoder_decoder: true,
      d_model: width,
      encoder_layers: layers,
      decoder_layers: layers,
      num_hidden_layers: layers,
      encoder_attention_heads: heads,
      decoder_attention_heads: heads,
      num_mel_bins: MELS,
      max_source_positions: POSITIONS.encoder,
      max_target_positions: POSITIONS.decoder,
      vocab_size: VOCABULARY,
    },
    'generation_config.json': {
      ...ids,
      is_multilingual: true,
      lang_to_id: languages,
      task_to_id: { translate: TOKENS.translate, transcribe: TOKENS.transcribe },
      no_timestamps_token_id: TOKENS.still,
      prev_sot_token_id: TOKENS.previous,
      max_length: POSITIONS.decoder,
    },
    'preprocessor_config.json': {
      feature_extractor_type: 'WhisperFeatureExtractor',
      processor_class: 'WhisperProcessor',
      chunk_length: 30,
      feature_size: MELS,
      hop_length: 160,
      n_fft: 400,
      n_samples: 480_000,
      nb_max_frames: 3000,
      sampling_rate: 16_000,
    },
    'tokenizer.json': tokenizer(),
    'tokenizer_config.json': { tokenizer_class: 'WhisperTokenizer', processor_class: 'WhisperProcessor' },
  }
}

/** Every token is a word of its own. */
function tokenizer(): object {
  const vocabulary = Object.fromEntries(Array.from({ length: VOCABULARY }, (_, id) => [`Ġt${id}`, id]))
  return {
    version: '1.0',
    added_tokens: [
      {
        id: TOKENS.end,
        content: `Ġt${TOKENS.end}`,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      vocab: vocabulary,
      merges: [],
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
    },
  }
}
