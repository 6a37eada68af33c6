/**
 * Whisper of the real shapes with random weights, in the layout and graph structure of the hub's exports: what it costs is what the real one
 * costs, and what it says is nothing. Made on demand into an ignored folder.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cachePorts, Layers, ofSound, range, withPast } from './layers.ts'
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

/** The encoder's file alone, of any shape. */
export function randomEncoder(shape: WhisperShape, isFitted: boolean): Uint8Array<ArrayBuffer> {
  const layers = new Layers(shape)
  const { graph } = layers
  const { width } = shape
  const conv = (x: string, from: number, strides: number) =>
    layers.gelu(
      graph.op('Conv', [x, layers.weight([width, from, 3]), layers.weight([width])], {
        pads: [1, 1],
        strides: [strides],
      }),
    )
  let x = graph.op('Transpose', [conv(conv('input_features', MELS, 1), width, 2)], { perm: [0, 2, 1] })
  const table = layers.weight([POSITIONS.encoder, width])
  const length = graph.op('Unsqueeze', [layers.size(x, 1), graph.ints(0)])
  x = layers.add(x, isFitted ? graph.op('Slice', [table, graph.ints(0), length, graph.ints(0)]) : table)
  for (let layer = 0; layer < shape.layers; layer++) {
    const y = layers.norm(x)
    const [q = '', k = '', v = ''] = [0, 1, 2].map(() => layers.split(layers.linear(y, width, width)))
    x = feedForward(layers, layers.add(x, attend(layers, q, k, v)))
  }
  layers.norm(x, { output: 'last_hidden_state' })
  return graph.model(
    { input_features: ['float', ['batch_size', MELS, 'sequence_length']] },
    { last_hidden_state: ['float', ['batch_size', 'encoder_sequence_length', width]] },
  )
}

function decoder(shape: WhisperShape): Uint8Array {
  const layers = new Layers(shape)
  const { graph } = layers
  const { width, heads } = shape
  const condition = graph.op('Squeeze', ['use_cache_branch', graph.ints(0)])
  const past = graph.op('Mul', [
    layers.size('past_key_values.0.decoder.key', 2),
    graph.op('Cast', [condition], { to: 7 }),
  ])
  const fresh = layers.size('input_ids', 1)
  const places = graph.op('Add', [range(graph, fresh), past])
  const mask = layers.causalMask(places, past, fresh)
  const table = layers.weight([VOCABULARY, width])
  let x = layers.add(
    graph.op('Gather', [table, 'input_ids']),
    graph.op('Gather', [layers.weight([POSITIONS.decoder, width]), places]),
  )
  for (let layer = 0; layer < shape.layers; layer++) x = decoderLayer(layers, x, { layer, condition, mask })
  graph.op('MatMul', [layers.norm(x), graph.op('Transpose', [table], { perm: [1, 0] })], {}, 'logits')
  const ports = (prefix: string, own: string): Ports =>
    cachePorts(prefix, own, { layers: shape.layers, heads, headWidth: width / heads })
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

function decoderLayer(
  layers: Layers,
  x: string,
  { layer, condition, mask }: { layer: number; condition: string; mask: string },
): string {
  const { graph } = layers
  const { width, heads } = layers.shape
  const y = layers.norm(x)
  const [q = '', k = '', v = ''] = [0, 1, 2].map(() => layers.split(layers.linear(y, width, width)))
  const own = withPast(graph, { layer, condition }, [k, v])
  let z = layers.add(x, attend(layers, q, ...own, mask))
  const weights = [0, 1].map(() => [layers.weight([width, width]), layers.weight([width])] as const)
  const heard = ofSound(layers, { layer, condition }, (branch) =>
    weights.map(([weight, bias]) => {
      const made = branch.op('Add', [branch.op('MatMul', ['encoder_hidden_states', weight]), bias])
      const shaped = branch.op('Reshape', [made, branch.ints(0, 0, heads, width / heads)])
      return branch.op('Transpose', [shaped], { perm: [0, 2, 1, 3] })
    }),
  )
  const question = layers.split(layers.linear(layers.norm(z), width, width))
  z = layers.add(z, attend(layers, question, ...heard))
  return feedForward(layers, z)
}

function attend(layers: Layers, q: string, k: string, v: string, mask?: string): string {
  return layers.linear(layers.attend(q, k, v, mask), layers.shape.width, layers.shape.width)
}

function feedForward(layers: Layers, x: string): string {
  const { width } = layers.shape
  const inner = layers.gelu(layers.linear(layers.norm(x), width, 4 * width))
  return layers.add(x, layers.linear(inner, 4 * width, width))
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
